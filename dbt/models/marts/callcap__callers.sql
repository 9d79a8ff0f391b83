with contacts as (
    select
        *,
        row_number() over (partition by caller_id order by start_datetime, call_id) as place,
        row_number() over (partition by caller_id, kind order by start_datetime desc, call_id desc)
            as place_from_last
    from {{ ref('callcap__calls') }}
    where caller_id is not null and start_datetime is not null and campaign_direction = 'inbound'
)

select
    caller_id,
    min(start_datetime) as first_contact_at,
    max(start_datetime) as last_contact_at,
    max(case when place = 1 then kind end) as first_kind,
    max(case when place = 1 then campaign_name end) as first_campaign_name,
    max(case when place = 1 then campaign_medium end) as first_campaign_medium,
    max(case when place = 1 then location_name end) as first_location_name,
    sum(case when kind = 'call' then 1 else 0 end) as calls,
    sum(case when kind = 'text' then 1 else 0 end) as texts,
    sum(case when is_answered then 1 else 0 end) as answered,
    sum(case when not is_answered then 1 else 0 end) as missed,
    max(case when kind = 'call' and place_from_last = 1 then outcome end) as last_outcome,
    sum(case when is_booked then 1 else 0 end) as booked,
    sum(revenue) as revenue
from contacts
group by caller_id
