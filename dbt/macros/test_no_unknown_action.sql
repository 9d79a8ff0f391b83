{# Finds the actions that no variable lists; they count as `other`. #}
{% test no_unknown_action(model) %}
select action, count(*) as calls
from {{ model }}
where outcome = 'other' and action is not null
group by action
{% endtest %}
