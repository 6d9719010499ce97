/* Fuzzes src/arrow_batch.c, arrow_table.c and utf16.c: the sessions of a reply as Arrow batches,
   of a level's columns and of a fleet's, in every text layout. What comes out is compared, value
   by value, with what the structures say, and released as consumers may: moved, in any order.

   An input is four bytes (see `options`) and a reply stub. */

#include <errno.h>

#include "arrow_batch.h"
#include "check.h"
#include "mutate_stub.h"
#include "srvsvc_ndr.h"

enum { HEAD = 4 };

typedef struct {
    bool fleet;    /* the columns of a fleet */
    bool whole;    /* one batch, large_utf8 where it must; otherwise as many as it takes */
    size_t limit;  /* bytes of text a column may have, in place of 2 GiB */
    uint8_t order; /* in which arrays are released */
} options;

/* --- what should come out ------------------------------------------------------------------ */

/* A code point as UTF-8, told plainly: how many bytes. */
static size_t
encode(uint32_t point, unsigned char *out)
{
    static const unsigned char leads[] = {0, 0, 0xC0, 0xE0, 0xF0};
    size_t size = point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
    for (size_t i = size; i > 1; i--) {
        out[i - 1] = (unsigned char)(0x80 | (point & 0x3F));
        point >>= 6;
    }
    out[0] = (unsigned char)(leads[size] | point);
    return size;
}

/* Whether text is these units; returns how many bytes they take. */
static size_t
check_text(const utf16_unit *units, const unsigned char *text, size_t size)
{
    size_t at = 0;
    while (*units != 0) {
        unsigned char expected[4];
        uint32_t point = *units++;
        if (point >= 0xD800 && point < 0xDC00 && *units >= 0xDC00 && *units < 0xE000) {
            point = 0x10000 + ((point - 0xD800) << 10) + (*units++ - 0xDC00u);
        }
        else if (point >= 0xD800 && point < 0xE000) {
            point = 0xFFFD;
        }
        size_t bytes = encode(point, expected);
        CHECK(text == NULL || at + bytes <= size);
        CHECK(text == NULL || memcmp(text + at, expected, bytes) == 0);
        at += bytes;
    }
    return at;
}

/* --- arrays -------------------------------------------------------------------------------- */

static bool
is_null(const struct ArrowArray *array, size_t row)
{
    const uint8_t *bits = array->buffers[0];
    return bits != NULL && (bits[row / 8] >> (row % 8) & 1) == 0;
}

static int64_t
offset_at(const struct ArrowArray *array, bool large, size_t row)
{
    return large ? ((const int64_t *)array->buffers[1])[row]
                 : ((const int32_t *)array->buffers[1])[row];
}

/* A row's string; `units` is NULL where it must be null. */
static void
check_string(const struct ArrowArray *array, bool large, size_t row, const utf16_unit *units)
{
    int64_t start = offset_at(array, large, row), end = offset_at(array, large, row + 1);
    const unsigned char *text = array->buffers[2];
    CHECK(start >= 0 && start <= end && is_null(array, row) == (units == NULL));
    if (units == NULL) {
        CHECK(start == end);
        return;
    }
    CHECK(check_text(units, text + start, (size_t)(end - start)) == (size_t)(end - start));
}

static void
check_number(const struct ArrowArray *array, const arrow_field *field, size_t row,
             const unsigned char *value)
{
    const void *values = array->buffers[1];
    uint32_t dword = 0;
    uint16_t word = 0;
    int64_t number = 0;
    switch (field->kind) {
    case ARROW_UINT32:
        memcpy(&dword, value, sizeof(dword));
        CHECK(((const uint32_t *)values)[row] == dword && !is_null(array, row));
        break;
    case ARROW_DURATION:
        memcpy(&dword, value, sizeof(dword));
        CHECK(is_null(array, row) == (dword == 0xFFFFFFFF));
        CHECK(is_null(array, row) || ((const int64_t *)values)[row] == (int64_t)dword);
        break;
    case ARROW_TIMESTAMP:
        memcpy(&number, value, sizeof(number));
        CHECK(((const int64_t *)values)[row] == number && !is_null(array, row));
        break;
    case ARROW_UINT16:
        memcpy(&word, value, sizeof(word));
        CHECK(((const uint16_t *)values)[row] == word && !is_null(array, row));
        break;
    case ARROW_TEXT:
        abort();
    }
}

/* The rows of a column, from `first` of the table on. */
static void
check_column(const struct ArrowArray *array, const arrow_field *field, bool large, size_t first,
             size_t rows, size_t limit)
{
    int64_t nulls = 0;
    CHECK(array->length == (int64_t)rows && array->offset == 0 && array->n_children == 0);
    CHECK(array->n_buffers == (field->kind == ARROW_TEXT ? 3 : 2));
    for (size_t row = 0; row < rows; row++) {
        const unsigned char *value
            = field->first == NULL ? NULL : field->first + (first + row) * field->step;
        nulls += is_null(array, row);
        if (field->kind == ARROW_TEXT) {
            check_string(array, large, row,
                         value == NULL ? NULL : *(const utf16_unit *const *)(const void *)value);
        }
        else if (value == NULL) {
            CHECK(is_null(array, row));
        }
        else {
            check_number(array, field, row, value);
        }
    }
    CHECK(array->null_count == nulls);
    if (field->kind == ARROW_TEXT) {
        CHECK(offset_at(array, large, 0) == 0);
        CHECK(large || offset_at(array, large, rows) <= (int64_t)limit);
    }
}

/* As consumers may: children moved out first or left, released before or after their parent. */
static void
release(struct ArrowArray *array, uint8_t order)
{
    struct ArrowArray moved[ARROW_COLUMNS];
    int64_t count = array->n_children;
    bool parent_first = (order & 1) != 0;
    for (int64_t i = 0; i < count; i++) {
        moved[i] = (struct ArrowArray){.release = NULL};
        if ((order >> 1 & 1) != 0 && (i + order) % 3 != 0) {
            moved[i] = *array->children[i];
            array->children[i]->release = NULL;
        }
    }
    if (parent_first) {
        array->release(array);
    }
    for (int64_t i = 0; i < count; i++) {
        struct ArrowArray *child = &moved[(order >> 2 & 1) != 0 ? i : count - 1 - i];
        if (child->release != NULL) {
            child->release(child);
            CHECK(child->release == NULL);
        }
    }
    if (!parent_first) {
        array->release(array);
    }
    CHECK(array->release == NULL);
}

static void
check_batch(struct ArrowArray *array, const arrow_table *table, bool large, size_t first,
            size_t rows, const options *how)
{
    CHECK(array->length == (int64_t)rows && array->n_children == table->column_count);
    CHECK(array->null_count == 0 && array->buffers[0] == NULL);
    for (int i = 0; i < table->column_count; i++) {
        check_column(array->children[i], &table->columns[i], large, first, rows, how->limit);
    }
    release(array, how->order);
}

/* --- the table ----------------------------------------------------------------------------- */

static void
check_schema(const arrow_table *table, bool large, uint8_t order)
{
    struct ArrowSchema schema, moved = {.release = NULL};
    CHECK(arrow_table_schema(table, large, &schema) == 0);
    CHECK(strcmp(schema.format, "+s") == 0 && schema.n_children == table->column_count);
    for (int i = 0; i < table->column_count; i++) {
        const struct ArrowSchema *child = schema.children[i];
        CHECK(strcmp(child->name, table->columns[i].name) == 0);
        CHECK((child->flags == ARROW_FLAG_NULLABLE) == table->columns[i].nullable);
        CHECK(table->columns[i].kind != ARROW_TEXT
              || strcmp(child->format, large ? "U" : "u") == 0);
    }
    if (order % 2 != 0) {
        moved = *schema.children[0];
        schema.children[0]->release = NULL;
    }
    schema.release(&schema);
    if (moved.release != NULL) {
        CHECK(moved.name[0] != 0);
        moved.release(&moved);
    }
}

/* Whether any string of one row alone is above the limit. */
static bool
row_is_too_long(const arrow_table *table, size_t row, size_t limit)
{
    for (int i = 0; i < table->column_count; i++) {
        const arrow_field *field = &table->columns[i];
        if (field->kind == ARROW_TEXT && field->first != NULL) {
            const void *value = field->first + row * field->step;
            const utf16_unit *units = *(const utf16_unit *const *)value;
            if (units != NULL && check_text(units, NULL, 0) > limit) {
                return true;
            }
        }
    }
    return false;
}

static void
whole_batch(const arrow_table *table, size_t rows, const options *how)
{
    struct ArrowArray array;
    bool large = false;
    CHECK(arrow_table_batch(table, rows, how->limit, &array, &large) == 0);
    check_schema(table, large, how->order);
    check_batch(&array, table, large, 0, rows, how);
}

/* As a stream makes them: what does not fit into a batch comes in the next. */
static void
several_batches(const session_enum_reply *reply, const fleet_origin *origin, const options *how)
{
    size_t first = 0;
    do {
        struct ArrowArray array;
        arrow_table table;
        size_t taken = 0, left = reply->count - first;
        const unsigned char *entries
            = reply->entries == NULL ? NULL : reply->entries + first * reply->level->size;
        if (how->fleet) {
            arrow_fleet_table(origin, reply->level, entries, &table);
        }
        else {
            arrow_level_table(reply->level, entries, &table);
        }
        int error = arrow_table_rows(&table, left, how->limit, &array, &taken);
        if (error != 0) {
            CHECK(error == EOVERFLOW && left > 0 && row_is_too_long(&table, 0, how->limit));
            return;
        }
        CHECK(taken <= left && (taken > 0 || left == 0));
        CHECK(taken == left || how->limit < ARROW_TEXT_LIMIT);
        check_batch(&array, &table, false, 0, taken, how);
        first += taken;
    } while (first < reply->count);
}

static void export(const session_enum_reply *reply, const options *how)
{
    static const utf16_unit server[] = {'s', 0xE9, 0xD83D, 0xDE00, 0xD800, 0};
    const fleet_origin origin
        = {.server = server, .collected_at = -(int64_t)how->order, .level = 502};
    arrow_table table;
    if (!how->whole) {
        several_batches(reply, &origin, how);
        return;
    }
    if (how->fleet) {
        arrow_fleet_table(&origin, reply->level, reply->entries, &table);
    }
    else {
        arrow_level_table(reply->level, reply->entries, &table);
    }
    whole_batch(&table, reply->count, how);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    session_enum_reply reply;
    srvsvc_error error;
    if (size < HEAD) {
        return 0;
    }
    size_t limit = (size_t)data[1] | (size_t)data[2] << 8;
    const options how = {
        .fleet = (data[0] & 1) != 0,
        .whole = (data[0] & 2) != 0,
        .limit = (data[0] & 4) != 0 ? ARROW_TEXT_LIMIT : limit,
        .order = data[3],
    };
    unsigned char *stub = copy_exactly(data + HEAD, size - HEAD);
    if (srvsvc_decode_enum(stub, size - HEAD, &reply, &error) == 0) {
        if (reply.level != NULL) {
            export(&reply, &how);
        }
        free(reply.entries);
    }
    free(stub);
    return 0;
}

size_t
LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned int seed)
{
    return mutate_behind(HEAD, data, size, most, seed);
}
