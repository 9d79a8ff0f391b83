{# The clock time in a zone (an SQL expression with an IANA name) of an instant in UTC. #}
{% macro local_time(instant, zone=none) %}
    {{- adapter.dispatch('local_time', 'callcap')(
        instant, zone or "'" ~ var('callcap_timezone') ~ "'"
    ) -}}
{% endmacro %}

{% macro default__local_time(instant, zone) -%}
    ({{ instant }} at time zone 'UTC' at time zone {{ zone }})
{%- endmacro %}

{% macro snowflake__local_time(instant, zone) -%}
    convert_timezone('UTC', {{ zone }}, {{ instant }})
{%- endmacro %}

{% macro bigquery__local_time(instant, zone) -%}
    datetime({{ instant }}, {{ zone }})
{%- endmacro %}
