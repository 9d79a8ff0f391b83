{# A property of a record by its path in schemas/, typed: from nested or flattened columns. Null if
   the target has no such column, because the property is not selected. #}
{% macro field(columns, path, type='string') %}
    {%- set parts = path.split('.') -%}
    {%- set found = namespace(sql='null') -%}
    {%- for length in range(1, parts | length + 1) -%}
        {%- set name = parts[:length] | join('__') -%}
        {%- if name in columns -%}
            {%- set found.sql = callcap.part_of(columns[name], parts[length:]) -%}
        {%- endif -%}
    {%- endfor -%}
    {{- callcap.typed(found.sql, type) -}}
{% endmacro %}


{# Callcap writes an empty text where it knows nothing. #}
{% macro typed(value, type) %}
    {%- set types = {
        'string': dbt.type_string(),
        'timestamp': dbt.type_timestamp(),
        'integer': dbt.type_bigint(),
        'number': dbt.type_numeric(),
        'boolean': dbt.type_boolean(),
    } -%}
    {%- set typed = 'cast(' ~ value ~ ' as ' ~ types[type] ~ ')' -%}
    {{- "nullif(" ~ typed ~ ", '')" if type == 'string' else typed -}}
{% endmacro %}


{# What is at a path within a column, as text where the column is JSON. #}
{% macro part_of(column, path) %}
    {%- if path -%}
        {{- adapter.dispatch('part_of', 'callcap')(column, path) -}}
    {%- else -%}
        {{- adapter.quote(column.name) -}}
    {%- endif -%}
{% endmacro %}

{% macro duckdb__part_of(column, path) -%}
    json_extract_string({{ adapter.quote(column.name) }}, '$.{{ path | join('.') }}')
{%- endmacro %}

{% macro postgres__part_of(column, path) -%}
    (cast({{ adapter.quote(column.name) }} as jsonb) #>> '{{ '{' ~ path | join(',') ~ '}' }}')
{%- endmacro %}

{% macro snowflake__part_of(column, path) -%}
    {%- set name = adapter.quote(column.name) -%}
    get_path({{ 'parse_json(' ~ name ~ ')' if column.is_string() else name }}, '{{ path | join('.') }}')::string
{%- endmacro %}

{% macro bigquery__part_of(column, path) -%}
    {%- if column.fields -%}
        {%- set name = ([column.name] + path) | join('.') -%}
        {{- name if name in column.flatten() | map(attribute='name') else 'null' -}}
    {%- else -%}
        json_value({{ adapter.quote(column.name) }}, '$.{{ path | join('.') }}')
    {%- endif -%}
{%- endmacro %}
