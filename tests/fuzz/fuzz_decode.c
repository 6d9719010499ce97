/* Fuzzes the codec of src/srvsvc_ndr.c, which takes bytes from servers that nobody should trust.

   Every input is read as a reply of NetrSessionEnum and of NetrSessionDel, and is cut into names
   for requests. Sanitizers watch the memory; what they cannot know is asserted here.

   With clang this is a libFuzzer target. Without, -DSTANDALONE adds a main() that mutates the
   files it is given: fuzz_decode RUNS SEED FILE... Both are deterministic. */

#include "check.h"
#include "srvsvc_ndr.h"

static void
check_error(const srvsvc_error *error, size_t size)
{
    CHECK(error->field != NULL && error->field[0] != 0);
    CHECK(error->problem != NULL); /* no input of this size can use up memory */
    CHECK(error->offset <= size);
}

/* Every string of the entries lies in the stub, is aligned and has its end there. */
static void
check_string(const utf16_unit *string, const unsigned char *stub, size_t size)
{
    const unsigned char *at = (const unsigned char *)string;
    if (string == NULL) {
        return;
    }
    CHECK(at >= stub && at < stub + size && (at - stub) % 4 == 0);
    while (*string != 0) {
        string++;
    }
    CHECK((const unsigned char *)(string + 1) <= stub + size);
}

static void
decode_enum(const unsigned char *stub, size_t size)
{
    session_enum_reply reply;
    srvsvc_error error = {NULL, NULL, 0};
    if (srvsvc_decode_enum(stub, size, &reply, &error) < 0) {
        check_error(&error, size);
        CHECK(reply.entries == NULL);
        return;
    }
    CHECK((reply.entries != NULL) == (reply.count != 0));
    CHECK(reply.count == 0 || reply.count * reply.level->wire_size <= size);
    for (size_t i = 0; i < reply.count; i++) {
        const unsigned char *entry = reply.entries + i * reply.level->size;
        for (int f = 0; f < reply.level->field_count; f++) {
            const session_field *field = &reply.level->fields[f];
            if (field->kind == FIELD_STRING) {
                check_string(session_info_string(entry, field), stub, size);
            }
            else {
                (void)session_info_dword(entry, field);
            }
        }
    }
    free(reply.entries);
}

static void
decode_del(const unsigned char *stub, size_t size)
{
    uint32_t status = 0;
    srvsvc_error error = {NULL, NULL, 0};
    if (srvsvc_decode_del(stub, size, &status, &error) < 0) {
        check_error(&error, size);
    }
    else {
        CHECK(size >= 4 && size < 12);
    }
}

/* The next name out of the input, terminated; NULL where the input says so or ends. */
static utf16_unit *
take_name(const uint8_t **data, size_t *size)
{
    size_t units = 0;
    if (*size == 0) {
        return NULL;
    }
    if ((*data)[0] == 0xFF) {
        (*data)++;
        (*size)--;
        return NULL;
    }
    while (units < *size / sizeof(utf16_unit)
           && ((*data)[2 * units] != 0 || (*data)[2 * units + 1] != 0)) {
        units++;
    }
    utf16_unit *name = calloc(units + 1, sizeof(utf16_unit));
    CHECK(name != NULL);
    memcpy(name, *data, units * sizeof(utf16_unit));
    size_t used = (units + 1) * sizeof(utf16_unit);
    used = used < *size ? used : *size;
    *data += used;
    *size -= used;
    return name;
}

/* What is measured is what is written, and not a byte more. */
static void
encode(const uint8_t *data, size_t size)
{
    utf16_unit *server = take_name(&data, &size);
    utf16_unit *client = take_name(&data, &size);
    utf16_unit *user = take_name(&data, &size);
    srvsvc_enum_request request = {
        .server = server,
        .client = client,
        .user = user,
        .level = 502,
        .preferred_length = 0xFFFFFFFFu,
        .has_resume_handle = size % 2 != 0,
    };
    size_t measured = srvsvc_encode_enum(&request, NULL);
    unsigned char *out = malloc(measured);
    CHECK(out != NULL && srvsvc_encode_enum(&request, out) == measured);
    free(out);
    measured = srvsvc_encode_del(server, client, user, NULL);
    out = malloc(measured);
    CHECK(out != NULL && srvsvc_encode_del(server, client, user, out) == measured);
    free(out);
    free(server);
    free(client);
    free(user);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    unsigned char *stub = copy_exactly(data, size);
    decode_enum(stub, size);
    decode_del(stub, size);
    encode(data, size);
    free(stub);
    return 0;
}

#ifndef STANDALONE

#include "mutate_stub.h"

size_t
LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned int seed)
{
    return mutate_behind(0, data, size, most, seed);
}

#else

enum { LARGEST = 1 << 16 };

static uint64_t random_state;

/* xorshift64*: the same sequence for the same seed, everywhere. */
static uint32_t
random_below(uint32_t limit)
{
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return (uint32_t)((random_state * 0x2545F4914F6CDD1Du) >> 32) % limit;
}

/* Numbers at which counts, sizes and statuses turn. */
static const uint32_t interesting[] = {
    0,       1,          2,          3,          4,          7,          8,
    10,      234,        502,        0x7F,       0xFF,       0x7FFF,     0xFFFF,
    0x10000, 0x3FFFFFFF, 0x40000000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFC, 0xFFFFFFFF,
};

static size_t
mutate(uint8_t *data, size_t size)
{
    size_t at = size == 0 ? 0 : random_below((uint32_t)size);
    switch (random_below(6)) {
    case 0: /* a bit */
        if (size != 0) {
            data[at] ^= (uint8_t)(1u << random_below(8));
        }
        return size;
    case 1: /* a number, where numbers are */
        at &= ~(size_t)3;
        if (at + 4 <= size) {
            memcpy(data + at, &interesting[random_below(sizeof(interesting) / 4)], 4);
        }
        return size;
    case 2: /* a number a little off */
        at &= ~(size_t)3;
        if (at + 4 <= size) {
            data[at] = (uint8_t)(data[at] + random_below(5) - 2);
        }
        return size;
    case 3: /* the end is missing */
        return at;
    case 4: /* bytes are missing */
        if (size - at > 4) {
            memmove(data + at, data + at + 4, size - at - 4);
            return size - 4;
        }
        return size;
    default: /* bytes come twice */
        if (size != 0 && size + 4 <= LARGEST) {
            memmove(data + at + 4, data + at, size - at);
            return size + 4;
        }
        return size;
    }
}

static size_t
read_file(const char *path, uint8_t *data)
{
    FILE *file = fopen(path, "rb");
    CHECK(file != NULL);
    size_t size = fread(data, 1, LARGEST, file);
    (void)fclose(file);
    return size;
}

int
main(int argc, char **argv)
{
    static uint8_t data[LARGEST];
    CHECK(argc > 3);
    unsigned long runs = strtoul(argv[1], NULL, 10);
    random_state = strtoull(argv[2], NULL, 10) | 1;
    for (int i = 3; i < argc; i++) {
        (void)LLVMFuzzerTestOneInput(data, read_file(argv[i], data));
    }
    for (unsigned long run = 0; run < runs; run++) {
        size_t size = read_file(argv[3 + run % (unsigned long)(argc - 3)], data);
        for (uint32_t changes = 1 + random_below(4); changes > 0; changes--) {
            size = mutate(data, size);
        }
        (void)LLVMFuzzerTestOneInput(data, size);
    }
    (void)printf("%lu runs\n", runs);
    return 0;
}

#endif
