{% set columns = callcap.source_columns('calls') %}

with requests as (
    select
        {{ callcap.field(columns, 'call_id') }} as call_id,
        {{ callcap.field(columns, 'callsurance.change_request.status') }} as status,
        {{ callcap.field(columns, 'callsurance.change_request.inaccuracy') }} as inaccuracy,
        {{ callcap.field(columns, 'callsurance.change_request.customer.name') }} as customer_name,
        {{ callcap.field(columns, 'callsurance.change_request.customer.email') }} as customer_email,
        {{ callcap.field(columns, 'callsurance.change_request.major.label') }} as major_label,
        {{ callcap.field(columns, 'callsurance.change_request.major.id', 'integer') }} as major_id,
        {{ callcap.field(columns, 'callsurance.change_request.minor.label') }} as minor_label,
        {{ callcap.field(columns, 'callsurance.change_request.minor.id', 'integer') }} as minor_id,
        {{ callcap.field(columns, 'callsurance.change_request.minor.tag') }} as minor_tag,
        {{ callcap.field(columns, 'callsurance.change_request.csr.id', 'integer') }} as csr_id,
        {{ callcap.field(columns, 'callsurance.change_request.csr.name') }} as csr_name,
        {{ callcap.field(columns, 'callsurance.change_request.original.major.label') }} as original_major_label,
        {{ callcap.field(columns, 'callsurance.change_request.original.major.id', 'integer') }} as original_major_id,
        {{ callcap.field(columns, 'callsurance.change_request.original.minor.label') }} as original_minor_label,
        {{ callcap.field(columns, 'callsurance.change_request.original.minor.id', 'integer') }} as original_minor_id,
        {{ callcap.field(columns, 'callsurance.change_request.original.minor.tag') }} as original_minor_tag,
        {{ callcap.field(columns, 'callsurance.change_request.original.csr.id', 'integer') }} as original_csr_id,
        {{ callcap.field(columns, 'callsurance.change_request.original.csr.name') }} as original_csr_name
    from {{ callcap.newest_rows('calls', columns, ['call_id'], ['last_modified']) }} as loaded
)

select *
from requests
where coalesce(
    status, inaccuracy, customer_name, customer_email, major_label, minor_label, csr_name,
    original_major_label, original_minor_label, original_csr_name
) is not null
