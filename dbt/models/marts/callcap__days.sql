{% set days_later = 'cast(generated_number as ' ~ dbt.type_int() ~ ') - 1' %}

select cast({{ dbt.dateadd('day', days_later, "cast('2000-01-01' as date)") }} as date) as day
from ({{ dbt.generate_series(18263) }}) as numbers
