with counts as (
    select
        cast(day as date) as day,
        timezone,
        calls as callcap_calls,
        counted_at
    from {{ ref('stg_callcap__call_counts') }}
),

zones as (
    select distinct timezone from counts
),

starts as (
    select
        zones.timezone,
        cast({{ callcap.local_time('calls.start_datetime', 'zones.timezone') }} as date) as day
    from {{ ref('stg_callcap__calls') }} as calls
    cross join zones
),

loaded as (
    select timezone, day, count(*) as warehouse_calls from starts group by timezone, day
)

select
    counts.day,
    counts.timezone,
    counts.callcap_calls,
    coalesce(loaded.warehouse_calls, 0) as warehouse_calls,
    coalesce(loaded.warehouse_calls, 0) - counts.callcap_calls as difference,
    case
        when coalesce(loaded.warehouse_calls, 0) < counts.callcap_calls then 'missing'
        when coalesce(loaded.warehouse_calls, 0) > counts.callcap_calls then 'extra'
        else 'complete'
    end as status,
    counts.counted_at
from counts
left join loaded on counts.day = loaded.day and counts.timezone = loaded.timezone
