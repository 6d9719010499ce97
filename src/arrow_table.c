#include "arrow_table.h"

/* The level that has all fields, in the order of field_id. */
#define RICHEST_LEVEL 502

static arrow_kind
kind_of(const session_field *field)
{
    if (field->kind == FIELD_STRING) {
        return ARROW_TEXT;
    }
    bool lasts = field->id == FIELD_ACTIVE_TIME || field->id == FIELD_IDLE_TIME;
    return lasts ? ARROW_DURATION : ARROW_UINT32;
}

static void
add_column(arrow_table *table, arrow_field column)
{
    table->columns[table->column_count++] = column;
}

/* A column of what a field tells; `stored` is it where it lies in the level's structures, NULL
   where the level lacks it. */
static void
add_field(arrow_table *table, const session_field *field, const session_field *stored,
          const session_level *level, const unsigned char *entries)
{
    bool there = stored != NULL && entries != NULL;
    add_column(table, (arrow_field){
                          .name = field->name,
                          .kind = kind_of(field),
                          .nullable = true,
                          .first = there ? entries + stored->offset : NULL,
                          .step = there ? level->size : 0,
                      });
}

/* A column that has one value. */
static void
add_constant(arrow_table *table, const char *name, arrow_kind kind, const void *value)
{
    add_column(table, (arrow_field){.name = name, .kind = kind, .first = value});
}

void
arrow_level_table(const session_level *level, const unsigned char *entries, arrow_table *table)
{
    *table = (arrow_table){.level = level};
    for (int i = 0; i < level->field_count; i++) {
        add_field(table, &level->fields[i], &level->fields[i], level, entries);
    }
}

void
arrow_fleet_table(const fleet_origin *origin, const session_level *level,
                  const unsigned char *entries, arrow_table *table)
{
    static const fleet_origin nowhere = {.server = NULL};
    const session_level *all = session_level_find(RICHEST_LEVEL);
    origin = origin == NULL ? &nowhere : origin;
    *table = (arrow_table){.level = NULL};
    add_constant(table, "server", ARROW_TEXT, &origin->server);
    add_constant(table, "collected_at", ARROW_TIMESTAMP, &origin->collected_at);
    for (int i = 0; i < all->field_count; i++) {
        const session_field *field = &all->fields[i];
        add_field(table, field, level == NULL ? NULL : session_level_field(level, field->id),
                  level, entries);
    }
    add_constant(table, "level", ARROW_UINT16, &origin->level);
}
