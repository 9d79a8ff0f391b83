{# Whether a column has one of the words that a variable lists. #}
{% macro one_of(column, variable) %}
    {%- set words = var(variable) -%}
    {%- if words -%}
        {{ column }} in (
            {%- for word in words %}{{ dbt.string_literal(dbt.escape_single_quotes(word)) }}{{ ', ' if not loop.last }}{% endfor -%}
        )
    {%- else -%}
        1 = 0
    {%- endif -%}
{% endmacro %}
