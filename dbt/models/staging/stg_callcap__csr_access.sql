{% set columns = callcap.source_columns('csrs') %}
{% set accesses = columns.get('access') %}

select
    {{ callcap.field(columns, 'csr_id', 'integer') }} as csr_id,
    {{ callcap.element(accesses, 'access', type='integer') }} as access_number,
    {{ callcap.element(accesses, 'access', 'account_type') }} as account_type,
    {{ callcap.element(accesses, 'access', 'account_id', 'integer') }} as account_id
from {{ callcap.newest_rows('csrs', columns, ['csr_id'], []) }} as loaded
cross join {{ callcap.elements(accesses, 'access') }}
