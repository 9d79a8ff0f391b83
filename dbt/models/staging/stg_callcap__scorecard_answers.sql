{% set columns = callcap.source_columns('calls') %}
{% set scorecards = columns.get('scorecards') %}

select
    {{ callcap.field(columns, 'call_id') }} as call_id,
    {{ callcap.element(scorecards, 'card', type='integer') }} as scorecard_number,
    {{ callcap.element(scorecards, 'card', 'name') }} as scorecard_name,
    {{ callcap.element(scorecards, 'result', type='integer') }} as question_number,
    {{ callcap.element(scorecards, 'result', 'question') }} as question,
    {{ callcap.element(scorecards, 'answer', type='integer') }} as answer_number,
    {{ callcap.element(scorecards, 'answer', 'entry') }} as entry,
    {{ callcap.element(scorecards, 'answer', 'value', 'number') }} as value,
    {{ callcap.element(scorecards, 'answer', 'max_value', 'number') }} as max_value,
    {{ callcap.element(scorecards, 'answer', 'min_value', 'number') }} as min_value
from {{ callcap.newest_rows('calls', columns, ['call_id'], ['last_modified']) }} as loaded
cross join {{ callcap.elements(scorecards, 'card') }}
cross join {{ callcap.elements(scorecards, 'result', of='card', within='results') }}
cross join {{ callcap.elements(scorecards, 'answer', of='result', within='answers') }}
