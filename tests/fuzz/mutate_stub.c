#include "mutate_stub.h"

#include <stdbool.h>

#include "check.h"
#include "srvsvc_ndr.h"

/* Replies that are larger gain nothing. */
enum { MOST_ROWS = 140, MOST_UNITS = 120 };

typedef struct {
    bool present;
    uint32_t length; /* without the terminator */
    uint32_t slack;  /* that max_count is above actual_count */
    utf16_unit units[MOST_UNITS];
} made_string;

typedef struct {
    uint32_t dwords[SESSION_FIELDS];
    made_string strings[SESSION_FIELDS];
} made_row;

typedef struct {
    const session_level *level;
    int count;
    uint32_t total, resume, status;
    bool has_resume;
    uint32_t referent; /* of every pointer: receivers may not care */
    uint8_t gap;       /* what fills gaps: likewise */
    uint8_t padding;   /* zeros after the end */
    made_row rows[MOST_ROWS];
} made_reply;

static uint64_t random_state;

/* xorshift64*: the same for the same seed. */
static uint32_t
random_below(uint32_t limit)
{
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return (uint32_t)((random_state * 0x2545F4914F6CDD1Du) >> 32) % limit;
}

/* --- from bytes ---------------------------------------------------------------------------- */

static void
read_string(const utf16_unit *from, made_string *string)
{
    *string = (made_string){.present = from != NULL};
    while (from != NULL && from[string->length] != 0 && string->length < MOST_UNITS) {
        string->units[string->length] = from[string->length];
        string->length++;
    }
}

static void
read_row(const session_level *level, const unsigned char *entry, made_row *row)
{
    for (int f = 0; f < level->field_count; f++) {
        const session_field *field = &level->fields[f];
        if (field->kind == FIELD_STRING) {
            read_string(session_info_string(entry, field), &row->strings[field->id]);
        }
        else {
            row->dwords[field->id] = session_info_dword(entry, field);
        }
    }
}

static void
read_reply(const uint8_t *data, size_t size, made_reply *made)
{
    session_enum_reply reply;
    srvsvc_error error;
    unsigned char *stub = copy_exactly(data, size);
    memset(made, 0, offsetof(made_reply, rows));
    made->referent = 0x00020000;
    made->level = &session_levels[random_below(SESSION_LEVELS)];
    if (srvsvc_decode_enum(stub, size, &reply, &error) == 0 && reply.level != NULL) {
        made->level = reply.level;
        made->total = reply.total_entries;
        made->resume = reply.resume_handle;
        made->has_resume = reply.has_resume_handle;
        made->status = reply.status;
        for (; made->count < MOST_ROWS && (size_t)made->count < reply.count; made->count++) {
            read_row(reply.level, reply.entries + (size_t)made->count * reply.level->size,
                     &made->rows[made->count]);
        }
        free(reply.entries);
    }
    free(stub);
}

/* --- to bytes ------------------------------------------------------------------------------ */

typedef struct {
    uint8_t *data;
    size_t size, most;
    uint8_t gap;
} writer;

static void
put_bytes(writer *out, const void *bytes, size_t size)
{
    if (out->size + size <= out->most) { /* what does not fit is cut off */
        memcpy(out->data + out->size, bytes, size);
        out->size += size;
    }
}

static void
put_number(writer *out, uint32_t number)
{
    while (out->size % 4 != 0 && out->size < out->most) {
        out->data[out->size++] = out->gap;
    }
    put_bytes(out, &number, sizeof(number));
}

static void
put_string(writer *out, const made_string *string)
{
    const utf16_unit end = 0;
    put_number(out, string->length + 1 + string->slack);
    put_number(out, 0);
    put_number(out, string->length + 1);
    put_bytes(out, string->units, string->length * sizeof(utf16_unit));
    put_bytes(out, &end, sizeof(end));
}

/* What follows the array: its strings, in its order. */
static void
put_strings(writer *out, const made_reply *made)
{
    for (int i = 0; i < made->count; i++) {
        for (int f = 0; f < made->level->field_count; f++) {
            const session_field *field = &made->level->fields[f];
            const made_string *string = &made->rows[i].strings[field->id];
            if (field->kind == FIELD_STRING && string->present) {
                put_string(out, string);
            }
        }
    }
}

static size_t
write_reply(const made_reply *made, uint8_t *data, size_t most)
{
    writer out = {.data = data, .most = most, .gap = made->gap};
    const uint8_t zeros[8] = {0};
    put_number(&out, made->level->number);
    put_number(&out, made->level->number);
    put_number(&out, made->referent);
    put_number(&out, (uint32_t)made->count);
    put_number(&out, made->referent);
    put_number(&out, (uint32_t)made->count);
    for (int i = 0; i < made->count; i++) {
        for (int f = 0; f < made->level->field_count; f++) {
            const session_field *field = &made->level->fields[f];
            const made_row *row = &made->rows[i];
            bool present = row->strings[field->id].present;
            put_number(&out, field->kind == FIELD_DWORD ? row->dwords[field->id]
                             : present                  ? made->referent
                                                        : 0);
        }
    }
    put_strings(&out, made);
    put_number(&out, made->total);
    put_number(&out, made->has_resume ? made->referent : 0);
    if (made->has_resume) {
        put_number(&out, made->resume);
    }
    put_number(&out, made->status);
    put_bytes(&out, zeros, made->padding);
    return out.size;
}

/* --- changes ------------------------------------------------------------------------------- */

/* Numbers at which counts, times and statuses turn. */
static uint32_t
some_number(void)
{
    static const uint32_t turns[]
        = {0, 1, 2, 5, 234, 2123, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF};
    uint32_t which = random_below(sizeof(turns) / sizeof(turns[0]) + 2);
    return which < sizeof(turns) / sizeof(turns[0]) ? turns[which] : random_below(1u << 31);
}

/* Units at which a character takes a byte more in UTF-8, halves of pairs, and what names hold. */
static utf16_unit
some_unit(void)
{
    static const utf16_unit turns[]
        = {1,      'a',    'Z',    '\\',   '@',    '$',    '.',    '%',    '[',
           0x7F,   0x80,   0xFF,   0x100,  0x7FF,  0x800,  0xD7FF, 0xD800, 0xDBFF,
           0xDC00, 0xDFFF, 0xE000, 0xFFFD, 0xFEFF, 0xFFFF, 0x131,  0x1C5,  0x10D0};
    uint32_t which = random_below(sizeof(turns) / sizeof(turns[0]) + 3);
    return which < sizeof(turns) / sizeof(turns[0]) ? turns[which]
                                                    : (utf16_unit)(1 + random_below(0xFFFF));
}

static void
change_string(made_string *string)
{
    uint32_t at = string->length == 0 ? 0 : random_below(string->length);
    string->present = true;
    switch (random_below(7)) {
    case 0:
        string->present = false;
        break;
    case 1:
        string->slack = some_number();
        string->slack = string->slack > 0x7FFFFFFF ? 1 : string->slack;
        break;
    case 2: /* shorter */
        string->length = at;
        break;
    case 3: /* another unit */
        string->units[at] = some_unit();
        string->length = string->length == 0 ? 1 : string->length;
        break;
    case 4: /* a run of one unit: long strings grow columns */
        for (uint32_t left = random_below(MOST_UNITS); left > 0 && string->length < MOST_UNITS;
             left--) {
            string->units[string->length++] = string->units[at] != 0 ? string->units[at] : 'x';
        }
        break;
    default: /* one more */
        if (string->length < MOST_UNITS) {
            string->units[string->length++] = some_unit();
        }
    }
}

static void
change_row(const session_level *level, made_row *row)
{
    const session_field *field = &level->fields[random_below((uint32_t)level->field_count)];
    if (field->kind == FIELD_STRING) {
        change_string(&row->strings[field->id]);
    }
    else {
        row->dwords[field->id] = some_number();
    }
}

/* Rows come as copies of others, so that they grow many and alike; a last one goes. */
static void
change_rows(made_reply *made)
{
    uint32_t more = random_below(4) == 0 ? random_below(MOST_ROWS) : 1;
    if (made->count > 0 && random_below(4) == 0) {
        made->count = (int)random_below((uint32_t)made->count);
        return;
    }
    for (; more > 0 && made->count < MOST_ROWS; more--) {
        made_row *row = &made->rows[made->count++];
        if (made->count == 1) {
            memset(row, 0, sizeof(*row));
        }
        else {
            *row = made->rows[random_below((uint32_t)made->count - 1)];
        }
    }
}

static void
change(made_reply *made)
{
    switch (random_below(12)) {
    case 0:
        made->level = &session_levels[random_below(SESSION_LEVELS)];
        break;
    case 1:
        made->has_resume = !made->has_resume;
        made->resume = some_number();
        break;
    case 2:
        made->status = some_number();
        break;
    case 3:
        made->total = some_number();
        made->gap = (uint8_t)random_below(256);
        break;
    case 4:
        made->referent = 1 + random_below(0x7FFFFFFF);
        made->padding = (uint8_t)random_below(9);
        break;
    case 5:
    case 6:
        change_rows(made);
        break;
    default:
        if (made->count > 0) {
            change_row(made->level, &made->rows[random_below((uint32_t)made->count)]);
        }
        else {
            change_rows(made);
        }
    }
}

size_t
mutate_stub(uint8_t *data, size_t size, size_t most, unsigned int seed)
{
    static made_reply made;
    random_state = ((uint64_t)seed << 1) | 1;
    (void)random_below(2);
    read_reply(data, size, &made);
    for (uint32_t changes = 1 + random_below(4); changes > 0; changes--) {
        change(&made);
    }
    return write_reply(&made, data, most);
}

size_t
mutate_behind(size_t head, uint8_t *data, size_t size, size_t most, unsigned int seed)
{
    if (size < head || most <= head || seed % 4 == 0) {
        return LLVMFuzzerMutate(data, size, most);
    }
    if (seed % 4 == 1 && head > 0) {
        (void)LLVMFuzzerMutate(data, head, head);
        return size;
    }
    return head + mutate_stub(data + head, size - head, most - head, seed / 4);
}
