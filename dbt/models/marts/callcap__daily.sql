select
    local_day,
    campaign_id,
    location_id,
    csr_id,
    max(campaign_name) as campaign_name,
    max(campaign_medium) as campaign_medium,
    max(campaign_direction) as campaign_direction,
    max(location_name) as location_name,
    max(csr_name) as csr_name,
    sum(case when kind = 'call' then 1 else 0 end) as calls,
    sum(case when kind = 'text' then 1 else 0 end) as texts,
    sum(case when is_answered then 1 else 0 end) as answered,
    sum(case when not is_answered then 1 else 0 end) as missed,
    sum(case when is_returned then 1 else 0 end) as returned,
    sum(case when outcome = 'blocked' then 1 else 0 end) as blocked,
    sum(case when outcome = 'in progress' then 1 else 0 end) as in_progress,
    sum(case when kind = 'call' then duration end) as duration,
    sum(case when is_booked then 1 else 0 end) as booked,
    sum(revenue) as revenue,
    sum(cost) as cost
from {{ ref('callcap__calls') }}
group by local_day, campaign_id, location_id, csr_id
