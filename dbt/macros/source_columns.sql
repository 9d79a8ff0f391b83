{# The columns that the target made, by their names in lower case. A stream that is not loaded has
   none: its staging model is then empty. #}
{% macro source_columns(table) %}
    {%- set columns = {} -%}
    {%- if execute -%}
        {%- set relation = load_relation(source('callcap', table)) -%}
        {%- for column in (adapter.get_columns_in_relation(relation) if relation else []) -%}
            {%- do columns.update({column.name | lower: column}) -%}
        {%- endfor -%}
        {%- if not columns and table == 'calls' -%}
            {%- do exceptions.raise_compiler_error(
                source('callcap', table) ~ " does not exist: run the tap first, or set"
                ~ " callcap_database and callcap_schema to where it loads"
            ) -%}
        {%- elif not columns -%}
            {%- do exceptions.warn(
                source('callcap', table) ~ " does not exist, so " ~ this.identifier
                ~ " is empty: select the stream " ~ table
            ) -%}
        {%- endif -%}
    {%- endif -%}
    {%- do return(columns) -%}
{% endmacro %}


{# The rows of a source, each key once: the newest, if the target only appends. #}
{% macro newest_rows(table, columns, keys, orders) %}
    {%- set known = [] -%}
    {%- for name in orders + ['_sdc_sequence', '_sdc_extracted_at', '_sdc_batched_at'] if name in columns -%}
        {%- do known.append(adapter.quote(columns[name].name) ~ ' desc') -%}
    {%- endfor -%}
    {%- if columns -%}
    (
        select *
        from (
            select
                loaded.*,
                row_number() over (
                    partition by {{ keys | join(', ') }} order by {{ (known or keys) | join(', ') }}
                ) as version_number
            from {{ source('callcap', table) }} as loaded
        ) as versions
        where version_number = 1
    )
    {%- else -%}
    (select 1 as nothing from (select 1 as one) as row_of_one where 1 = 0)
    {%- endif -%}
{% endmacro %}
