#define PY_SSIZE_T_CLEAN
#include "string_cache.h"

#include <string.h>

/* Direct-mapped: a string that falls on another's slot takes it over. */
#define SLOTS 256u

/* Below this, setting up the slots costs more than strings that repeat save. */
#define SMALLEST_PAGE 64

/* A field whose strings repeat less than every second time, as names mostly do, is left alone from
   then on: a look-up costs about half of what making a str does. */
#define TRIAL_LOOKUPS 256u
#define WORTHWHILE 2u

typedef struct {
    PyObject *text; /* owned; NULL: empty */
    const utf16_unit *units;
    size_t length;
    uint64_t hash;
} slot;

struct string_cache {
    struct {
        uint32_t lookups, hits;
        bool given_up;
    } fields[SESSION_FIELDS];
    slot slots[SLOTS];
};

string_cache *
string_cache_new(Py_ssize_t entries)
{
    return entries < SMALLEST_PAGE ? NULL : PyMem_Calloc(1, sizeof(string_cache));
}

void
string_cache_free(string_cache *cache)
{
    if (cache == NULL) {
        return;
    }
    for (size_t i = 0; i < SLOTS; i++) {
        Py_XDECREF(cache->slots[i].text);
    }
    PyMem_Free(cache);
}

/* Four units as one number. */
static inline uint64_t
load_four(const utf16_unit *units)
{
    uint64_t value;
    memcpy(&value, units, sizeof(value));
    return value;
}

/* The beginning, the middle and the end tell names apart well enough, and cost the same for a
   long string as for a short one. What is equal here is compared in full. */
static uint64_t
hash_units(const utf16_unit *units, size_t length)
{
    uint64_t hash = length;
    if (length >= 4) {
        hash ^= load_four(units) * 0x9E3779B97F4A7C15u;
        hash ^= load_four(units + length / 2 - 2) * 0xC2B2AE3D27D4EB4Fu;
        hash ^= load_four(units + length - 4) * 0x165667B19E3779F9u;
    }
    else {
        for (size_t i = 0; i < length; i++) {
            hash = (hash + units[i]) * 0x9E3779B97F4A7C15u;
        }
    }
    return hash ^ hash >> 29;
}

static bool
is_same(const slot *at, uint64_t hash, const utf16_unit *units, size_t length)
{
    return at->text != NULL && at->hash == hash && at->length == length
        && memcmp(at->units, units, length * sizeof(utf16_unit)) == 0;
}

static PyObject *
look_up(string_cache *cache, field_id field, const utf16_unit *units, size_t length)
{
    uint64_t hash = hash_units(units, length);
    slot *at = &cache->slots[(hash * 0x9E3779B97F4A7C15u) >> 56];
    if (is_same(at, hash, units, length)) {
        cache->fields[field].hits++;
        return Py_NewRef(at->text);
    }
    PyObject *made = utf16_to_str(units, length);
    if (made != NULL) {
        PyObject *old = at->text;
        *at = (slot){Py_NewRef(made), units, length, hash};
        Py_XDECREF(old);
    }
    return made;
}

PyObject *
string_cache_get(string_cache *cache, field_id field, const utf16_unit *units)
{
    size_t length = utf16_length(units);
    if (cache == NULL || length == 0 || cache->fields[field].given_up) {
        return utf16_to_str(units, length);
    }
    if (++cache->fields[field].lookups == TRIAL_LOOKUPS) {
        cache->fields[field].given_up = cache->fields[field].hits < TRIAL_LOOKUPS / WORTHWHILE;
    }
    return look_up(cache, field, units, length);
}
