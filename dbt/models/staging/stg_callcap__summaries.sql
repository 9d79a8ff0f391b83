{% set columns = callcap.source_columns('calls') %}
{% set summaries = columns.get('summaries') %}

select
    {{ callcap.field(columns, 'call_id') }} as call_id,
    {{ callcap.element(summaries, 'summary', type='integer') }} as summary_number,
    {{ callcap.element(summaries, 'summary', 'type') }} as summary_type,
    {{ callcap.element(summaries, 'summary', 'text') }} as summary_text
from {{ callcap.newest_rows('calls', columns, ['call_id'], ['last_modified']) }} as loaded
cross join {{ callcap.elements(summaries, 'summary') }}
