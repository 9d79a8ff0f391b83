{% set columns = callcap.source_columns('accounts') %}

select
    {{ callcap.field(columns, 'account_type') }} as account_type,
    {{ callcap.field(columns, 'account_id', 'integer') }} as account_id,
    {{ callcap.field(columns, 'account_name') }} as account_name,
    {{ callcap.field(columns, 'corporate_id', 'integer') }} as corporate_id,
    {{ callcap.field(columns, 'division_id', 'integer') }} as division_id,
    {{ callcap.field(columns, '_extra') }} as _extra
from {{ callcap.newest_rows('accounts', columns, ['account_type', 'account_id'], []) }} as loaded
