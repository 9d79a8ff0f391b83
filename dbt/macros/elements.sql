{# The elements of an array, to be cross joined: of a column of the source, or of the array `within`
   in the elements `of`. None if the source has no such column. #}
{% macro elements(column, alias, of=none, within=none) %}
    {%- if column -%}
        {{- adapter.dispatch('elements', 'callcap')(column, alias, of, within) -}}
    {%- else -%}
        (select 1 as nothing from (select 1 as one) as row_of_one where 1 = 0) as {{ alias }}
    {%- endif -%}
{% endmacro %}


{# A value of an element, typed; without a name, the element's place in its array, from 1. #}
{% macro element(column, alias, name=none, type='string') %}
    {%- set value = adapter.dispatch('element', 'callcap')(column, alias, name) if column else 'null' -%}
    {{- callcap.typed(value, type) -}}
{% endmacro %}


{% macro duckdb__elements(column, alias, of, within) -%}
    {%- set array = "json_extract(" ~ of ~ ".value, '$." ~ within ~ "')" if of else adapter.quote(column.name) -%}
    lateral (
        select
            unnest(from_json({{ array }}, '["JSON"]')) as value,
            unnest(range(1, cast(json_array_length({{ array }}) as bigint) + 1)) as number
    ) as {{ alias }}
{%- endmacro %}

{% macro duckdb__element(column, alias, name) -%}
    {{ "json_extract_string(" ~ alias ~ ".value, '$." ~ name ~ "')" if name else alias ~ ".number" }}
{%- endmacro %}


{% macro postgres__elements(column, alias, of, within) -%}
    {%- set name = adapter.quote(column.name) -%}
    {%- set outer = "to_jsonb(" ~ name ~ ")" if column.dtype == 'ARRAY' else "cast(" ~ name ~ " as jsonb)" -%}
    {%- set array = of ~ ".value -> '" ~ within ~ "'" if of else outer -%}
    lateral jsonb_array_elements(
        case when jsonb_typeof({{ array }}) = 'array' then {{ array }} end
    ) with ordinality as {{ alias }}(value, number)
{%- endmacro %}

{% macro postgres__element(column, alias, name) -%}
    {{ alias ~ ".value ->> '" ~ name ~ "'" if name else alias ~ ".number" }}
{%- endmacro %}


{% macro snowflake__elements(column, alias, of, within) -%}
    {%- set name = adapter.quote(column.name) -%}
    {%- set outer = "parse_json(" ~ name ~ ")" if column.is_string() else name -%}
    {%- set array = "get_path(" ~ of ~ ".value, '" ~ within ~ "')" if of else outer -%}
    lateral flatten(input => {{ array }}) as {{ alias }}
{%- endmacro %}

{% macro snowflake__element(column, alias, name) -%}
    {{ "get_path(" ~ alias ~ ".value, '" ~ name ~ "')::string" if name else alias ~ ".index + 1" }}
{%- endmacro %}


{% macro bigquery__elements(column, alias, of, within) -%}
    {%- if column.fields -%}
        {%- set array = of ~ "." ~ within if of else adapter.quote(column.name) -%}
    {%- else -%}
        {%- set place = of ~ ", '$." ~ within ~ "'" if of else adapter.quote(column.name) -%}
        {%- set array = "json_query_array(" ~ place ~ ")" -%}
    {%- endif -%}
    unnest({{ array }}) as {{ alias }} with offset as {{ alias }}_offset
{%- endmacro %}

{% macro bigquery__element(column, alias, name) -%}
    {%- if not name -%}
        {{ alias }}_offset + 1
    {%- elif column.fields -%}
        {{ alias }}.{{ name }}
    {%- else -%}
        json_value({{ alias }}, '$.{{ name }}')
    {%- endif -%}
{%- endmacro %}
