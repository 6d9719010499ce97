#include "srvsvc_ndr.h"

#include <stdlib.h>
#include <string.h>

/* --- writing ------------------------------------------------------------------------------ */

typedef struct {
    unsigned char *out; /* NULL: only measure */
    size_t size;
    uint32_t referents; /* pointers written so far that were not NULL */
} ndr_writer;

static void
put_align(ndr_writer *writer)
{
    while (writer->size % 4 != 0) {
        if (writer->out != NULL) {
            writer->out[writer->size] = 0;
        }
        writer->size++;
    }
}

static void
put_dword(ndr_writer *writer, uint32_t value)
{
    put_align(writer);
    if (writer->out != NULL) {
        unsigned char *at = writer->out + writer->size;
        at[0] = (unsigned char)(value & 0xFF);
        at[1] = (unsigned char)(value >> 8 & 0xFF);
        at[2] = (unsigned char)(value >> 16 & 0xFF);
        at[3] = (unsigned char)(value >> 24);
    }
    writer->size += 4;
}

/* A unique pointer: a referent of our own that is not 0, or 0 for NULL. Receivers must not read
   more into it ([C706] 14.3.10); the values are those that Windows and Samba send. */
static void
put_pointer(ndr_writer *writer, bool present)
{
    put_dword(writer, present ? 0x00020000u + 4 * writer->referents++ : 0);
}

/* A unique pointer to a conformant varying string, its pointee right behind it. */
static void
put_name(ndr_writer *writer, const utf16_unit *name)
{
    put_pointer(writer, name != NULL);
    if (name == NULL) {
        return;
    }
    uint32_t units = 1; /* the terminator is counted and sent */
    while (name[units - 1] != 0) {
        units++;
    }
    put_dword(writer, units); /* max_count */
    put_dword(writer, 0);     /* offset */
    put_dword(writer, units); /* actual_count */
    if (writer->out != NULL) {
        memcpy(writer->out + writer->size, name, units * sizeof(utf16_unit));
    }
    writer->size += units * sizeof(utf16_unit);
}

/* [MS-SRVS] 3.1.4.5. TotalEntries is [out] only and takes no bytes here. The container is never
   NULL: Samba answers that with a success without entries. */
size_t
srvsvc_encode_enum(const srvsvc_enum_request *request, unsigned char *out)
{
    ndr_writer writer = {.out = out};
    put_name(&writer, request->server);
    put_name(&writer, request->client);
    put_name(&writer, request->user);
    put_dword(&writer, request->level); /* InfoStruct.Level */
    put_dword(&writer, request->level); /* the union's discriminant */
    put_pointer(&writer, true);         /* its arm: the container */
    put_dword(&writer, 0);              /* EntriesRead */
    put_dword(&writer, 0);              /* Buffer: NULL */
    put_dword(&writer, request->preferred_length);
    put_pointer(&writer, request->has_resume_handle);
    if (request->has_resume_handle) {
        put_dword(&writer, request->resume_handle);
    }
    return writer.size;
}

/* [MS-SRVS] 3.1.4.6 */
size_t
srvsvc_encode_del(const utf16_unit *server, const utf16_unit *client, const utf16_unit *user,
                  unsigned char *out)
{
    ndr_writer writer = {.out = out};
    put_name(&writer, server);
    put_name(&writer, client);
    put_name(&writer, user);
    return writer.size;
}

/* --- reading ------------------------------------------------------------------------------ */

/* `position` never exceeds `size`. */
typedef struct {
    const unsigned char *data;
    size_t size, position;
    srvsvc_error *error;
} ndr_reader;

static int
refuse(const ndr_reader *reader, const char *field, const char *problem, size_t offset)
{
    *reader->error = (srvsvc_error){field, problem, offset};
    return -1;
}

static size_t
remaining(const ndr_reader *reader)
{
    return reader->size - reader->position;
}

static uint32_t
load_dword(const unsigned char *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static int
get_dword(ndr_reader *reader, const char *field, uint32_t *value)
{
    size_t gap = (4 - reader->position % 4) % 4; /* its content is undefined and not looked at */
    if (remaining(reader) < gap + 4) {
        return refuse(reader, field, "the stub ends here", reader->size);
    }
    reader->position += gap;
    *value = load_dword(reader->data + reader->position);
    reader->position += 4;
    return 0;
}

/* Where the value just read stands. */
static size_t
last_dword(const ndr_reader *reader)
{
    return reader->position - 4;
}

static bool
contains_nul(const utf16_unit *units, size_t count)
{
    unsigned int found = 0;
    for (size_t i = 0; i < count; i++) { /* no early exit: compilers vectorise this */
        found |= units[i] == 0;
    }
    return found != 0;
}

/* A conformant varying string ([C706] 14.3.4.2), left where it is. What a C string cannot tell
   is refused, since it would be lost: a missing terminator, and a NUL before the end. */
static int
get_string(ndr_reader *reader, const char *field, const utf16_unit **string)
{
    uint32_t max_count = 0, offset = 0, count = 0;
    if (get_dword(reader, field, &max_count) < 0 || get_dword(reader, field, &offset) < 0) {
        return -1;
    }
    if (offset != 0) {
        return refuse(reader, field, "the string's offset is not 0", last_dword(reader));
    }
    if (get_dword(reader, field, &count) < 0) {
        return -1;
    }
    if (count > max_count) {
        return refuse(reader, field, "the string's actual_count is above its max_count",
                      last_dword(reader));
    }
    if (count == 0) {
        return refuse(reader, field, "the string has no terminator (actual_count is 0)",
                      last_dword(reader));
    }
    if (count > remaining(reader) / sizeof(utf16_unit)) {
        return refuse(reader, field, "the string does not fit into the stub", last_dword(reader));
    }
    const utf16_unit *units = (const void *)(reader->data + reader->position);
    if (units[count - 1] != 0) {
        return refuse(reader, field, "the string has no terminator",
                      reader->position + (count - 1) * sizeof(utf16_unit));
    }
    if (contains_nul(units, count - 1)) {
        return refuse(reader, field, "the string has a NUL before its end", reader->position);
    }
    reader->position += count * sizeof(utf16_unit);
    *string = units;
    return 0;
}

/* One array element. Its fixed part is read from `fixed`, the strings it points to, which follow
   the whole array in order, from `deferred`. */
static int
get_entry(ndr_reader *fixed, ndr_reader *deferred, const session_level *level,
          unsigned char *entry)
{
    for (int i = 0; i < level->field_count; i++) {
        const session_field *field = &level->fields[i];
        uint32_t value = load_dword(fixed->data + fixed->position);
        fixed->position += 4;
        if (field->kind == FIELD_DWORD) {
            memcpy(entry + field->offset, &value, sizeof(value));
            continue;
        }
        const utf16_unit *string = NULL;
        if (value != 0 && get_string(deferred, field->name, &string) < 0) {
            return -1;
        }
        memcpy(entry + field->offset, &string, sizeof(string));
    }
    return 0;
}

static int
get_entries(ndr_reader *reader, session_enum_reply *reply)
{
    const session_level *level = reply->level;
    size_t count = reply->count;
    /* Checked before anything is allocated: a claim must be covered by bytes that are there. */
    if (count > remaining(reader) / level->wire_size) {
        return refuse(reader, "Buffer", "more entries are claimed than the stub holds",
                      last_dword(reader));
    }
    if (count == 0) {
        return 0;
    }
    if (count > SIZE_MAX / level->size || (reply->entries = calloc(count, level->size)) == NULL) {
        return refuse(reader, "Buffer", NULL, reader->position);
    }
    ndr_reader fixed = *reader;
    reader->position += count * level->wire_size;
    for (size_t i = 0; i < count; i++) {
        if (get_entry(&fixed, reader, level, reply->entries + i * level->size) < 0) {
            return -1;
        }
    }
    return 0;
}

/* SESSION_INFO_x_CONTAINER: EntriesRead, then a pointer to a conformant array. */
static int
get_container(ndr_reader *reader, session_enum_reply *reply)
{
    uint32_t entries_read = 0, buffer = 0, max_count = 0;
    if (get_dword(reader, "EntriesRead", &entries_read) < 0
        || get_dword(reader, "Buffer", &buffer) < 0) {
        return -1;
    }
    if (buffer == 0) {
        return entries_read == 0 ? 0
                                 : refuse(reader, "Buffer", "EntriesRead counts what is not there",
                                          last_dword(reader));
    }
    if (get_dword(reader, "Buffer", &max_count) < 0) {
        return -1;
    }
    if (max_count != entries_read) {
        return refuse(reader, "Buffer", "the array's max_count is not EntriesRead",
                      last_dword(reader));
    }
    reply->count = entries_read;
    return get_entries(reader, reply);
}

/* SESSION_ENUM_STRUCT: Level, then a union with Level again as its discriminant. */
static int
get_enum_struct(ndr_reader *reader, session_enum_reply *reply)
{
    uint32_t number = 0, tag = 0, arm = 0;
    if (get_dword(reader, "Level", &number) < 0) {
        return -1;
    }
    const session_level *level = session_level_find(number);
    if (level == NULL) {
        return refuse(reader, "Level", "it is none of 0, 1, 2, 10, 502", last_dword(reader));
    }
    if (get_dword(reader, "SessionInfo", &tag) < 0) {
        return -1;
    }
    if (tag != number) {
        return refuse(reader, "SessionInfo", "the union's tag is not Level", last_dword(reader));
    }
    if (get_dword(reader, "SessionInfo", &arm) < 0) {
        return -1;
    }
    if (arm == 0) {
        return 0;
    }
    reply->level = level;
    return get_container(reader, reply);
}

/* After the last parameter nothing may follow but what rounds a PDU to eight bytes. */
static int
get_end(const ndr_reader *reader)
{
    size_t left = remaining(reader);
    for (size_t i = 0; i < left; i++) {
        if (left >= 8 || reader->data[reader->position + i] != 0) {
            return refuse(reader, "return value", "bytes follow the reply's end",
                          reader->position + i);
        }
    }
    return 0;
}

static int
get_enum_reply(ndr_reader *reader, session_enum_reply *reply)
{
    uint32_t resume = 0;
    if (get_enum_struct(reader, reply) < 0
        || get_dword(reader, "TotalEntries", &reply->total_entries) < 0
        || get_dword(reader, "ResumeHandle", &resume) < 0) {
        return -1;
    }
    reply->has_resume_handle = resume != 0;
    if (reply->has_resume_handle && get_dword(reader, "ResumeHandle", &reply->resume_handle) < 0) {
        return -1;
    }
    if (get_dword(reader, "return value", &reply->status) < 0) {
        return -1;
    }
    return get_end(reader);
}

int
srvsvc_decode_enum(const unsigned char *stub, size_t size, session_enum_reply *reply,
                   srvsvc_error *error)
{
    ndr_reader reader = {.data = stub, .size = size, .error = error};
    *reply = (session_enum_reply){.level = NULL};
    if (get_enum_reply(&reader, reply) < 0) {
        free(reply->entries);
        reply->entries = NULL;
        return -1;
    }
    return 0;
}

int
srvsvc_decode_del(const unsigned char *stub, size_t size, uint32_t *status, srvsvc_error *error)
{
    ndr_reader reader = {.data = stub, .size = size, .error = error};
    if (get_dword(&reader, "return value", status) < 0) {
        return -1;
    }
    return get_end(&reader);
}
