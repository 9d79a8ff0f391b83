{% set columns = callcap.source_columns('csrs') %}

select
    {{ callcap.field(columns, 'csr_id', 'integer') }} as csr_id,
    {{ callcap.field(columns, 'csr_name') }} as csr_name,
    {{ callcap.field(columns, 'access_is_global', 'boolean') }} as access_is_global,
    {{ callcap.field(columns, '_extra') }} as _extra
from {{ callcap.newest_rows('csrs', columns, ['csr_id'], []) }} as loaded
