{% set columns = callcap.source_columns('call_counts') %}

select
    {{ callcap.field(columns, 'day') }} as day,
    {{ callcap.field(columns, 'timezone') }} as timezone,
    {{ callcap.field(columns, 'calls', 'integer') }} as calls,
    {{ callcap.field(columns, 'counted_at', 'timestamp') }} as counted_at
from {{ callcap.newest_rows('call_counts', columns, ['day', 'timezone'], ['counted_at']) }} as loaded
