with calls as (
    select
        *,
        {{ callcap.local_time('start_datetime') }} as local_start,
        case when {{ callcap.one_of('action', 'callcap_text') }} then 'text' else 'call' end as kind,
        case
            when {{ callcap.one_of('action', 'callcap_text') }} then null
            when {{ callcap.one_of('action', 'callcap_answered') }} then 'answered'
            when {{ callcap.one_of('action', 'callcap_missed') }} then 'missed'
            when {{ callcap.one_of('action', 'callcap_blocked') }} then 'blocked'
            when {{ callcap.one_of('action', 'callcap_in_progress') }} then 'in progress'
            else 'other'
        end as outcome
    from {{ ref('stg_callcap__calls') }}
),

judged as (
    select
        *,
        case
            when campaign_direction = 'inbound' and outcome in ('answered', 'missed')
                then outcome = 'answered'
        end as is_answered
    from calls
),

returned as (
    select distinct missed.call_id
    from judged as missed
    inner join judged as outbound
        on missed.caller_id = outbound.caller_id
        and outbound.start_datetime > missed.start_datetime
        and outbound.start_datetime <= {{ dbt.dateadd('hour', 1, 'missed.start_datetime') }}
    where not missed.is_answered and outbound.kind = 'call' and outbound.campaign_direction = 'outbound'
)

select
    judged.call_id,
    judged.last_modified,
    judged.start_datetime,
    judged.end_datetime,
    cast(judged.local_start as date) as local_day,
    cast(extract(hour from judged.local_start) as {{ dbt.type_int() }}) as local_hour,
    mod({{ dbt.datediff("cast('1900-01-01' as date)", 'judged.local_start', 'day') }}, 7) + 1
        as local_weekday,
    judged.kind,
    judged.campaign_direction,
    judged.action,
    judged.outcome,
    judged.is_answered,
    case when not judged.is_answered then returned.call_id is not null end as is_returned,
    judged.duration,
    judged.rings,
    judged.campaign_id,
    judged.campaign_name,
    judged.campaign_medium,
    judged.location_id,
    judged.location_name,
    judged.division_id,
    judged.division_name,
    judged.corporate_id,
    judged.corporate_name,
    nullif(judged.callsurance_csr_id, 0) as csr_id,
    case when judged.callsurance_csr_id <> 0 then judged.callsurance_csr_name end as csr_name,
    judged.caller_id,
    case
        when judged.caller_id is not null and judged.start_datetime is not null
            then coalesce(
                sum(
                    case
                        when judged.kind = 'call' and judged.campaign_direction = 'inbound'
                            and judged.start_datetime is not null
                            then 1
                        else 0
                    end
                ) over (
                    partition by judged.caller_id
                    order by judged.start_datetime, judged.call_id
                    rows between unbounded preceding and 1 preceding
                ),
                0
            )
    end as earlier_calls,
    judged.callsurance_major_label,
    judged.callsurance_minor_label,
    case
        when judged.callsurance_minor_label is not null
            then {{ callcap.one_of('judged.callsurance_minor_label', 'callcap_booked') }}
    end as is_booked,
    judged.sentiment,
    judged.sentiment_satisfied,
    judged.sentiment_frustrated,
    judged.revenue,
    case
        when judged.is_answered is not null
            then coalesce(judged.campaign_cost_per_piece_final, judged.campaign_cost_per_piece_est)
    end as cost
from judged
left join returned on judged.call_id = returned.call_id
