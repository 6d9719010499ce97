#define PY_SSIZE_T_CLEAN
#include "session_filter.h"

#include <string.h>

#include "arguments.h"
#include "name_match.h"
#include "string_cache.h"
#include "unpicklable.h"

#define UNKNOWN_TIME 0xFFFFFFFFu
#define BETWEEN_SIGNALS 1024 /* entries, after which it is looked whether Ctrl-C was pressed */
#define MOST_ELSEWHERE 5     /* _names.MOST_ELSEWHERE: more names are never told */

/* --- what is looked for -------------------------------------------------------------------- */

typedef struct {
    PyObject
        *object; /* owned: the _names.ClientPattern or UserPattern, which is told what was met */
    union {
        client_pattern client;
        user_pattern user;
    } rules;
    bool is_host; /* of a client: it also means the addresses that it resolves to */
} filter_pattern;

typedef struct {
    filter_pattern *items; /* owned */
    Py_ssize_t count;
} pattern_list;

typedef struct {
    bool is_set;
    uint32_t value;
} dword_limit;

/* Nothing in it changes after filter_new(), so it needs no lock. */
typedef struct {
    PyObject_HEAD
    PyObject *texts; /* owned: a list of bytes, the units that all patterns point into */
    pattern_list clients, users, own_clients, own_users;
    dword_limit idle_time, active_time, least_opens, most_opens;
    bool no_machines;
} SessionFilter;

/* --- making one ---------------------------------------------------------------------------- */

/* The units of a str, which the filter keeps. */
static int
take_text(SessionFilter *self, PyObject *text, name_slice *slice)
{
    PyObject *units = utf16_from_str(text, "a pattern");
    if (units == NULL) {
        return -1;
    }
    slice->units = (const utf16_unit *)(const void *)PyBytes_AS_STRING(units);
    slice->length = (size_t)PyBytes_GET_SIZE(units) / sizeof(utf16_unit) - 1;
    int result = PyList_Append(self->texts, units); /* which keeps them */
    Py_DECREF(units);
    return result;
}

/* ClientPattern.parts: (bare, is_wild, address, zone, is_host), the address None for a name. */
static int
take_client(SessionFilter *self, PyObject *parts, filter_pattern *pattern)
{
    client_pattern *rules = &pattern->rules.client;
    PyObject *bare, *address, *zone;
    int is_wild, is_host;
    name_slice text, zone_text;
    if (!PyArg_ParseTuple(parts, "UpOUp:ClientPattern.parts", &bare, &is_wild, &address, &zone,
                          &is_host)
        || take_text(self, bare, &rules->bare) < 0) {
        return -1;
    }
    rules->is_wild = is_wild != 0;
    pattern->is_host = is_host != 0;
    rules->is_address = address != Py_None;
    if (!rules->is_address) {
        return 0;
    }
    if (!PyUnicode_Check(address)) {
        PyErr_SetString(PyExc_TypeError, "an address must be a str or None");
        return -1;
    }
    if (take_text(self, address, &text) < 0 || take_text(self, zone, &zone_text) < 0) {
        return -1;
    }
    if (!ip_address_parse(text.units, text.length, &rules->address)) {
        PyErr_Format(PyExc_ValueError, "%R is no address", address);
        return -1;
    }
    rules->address.zone = zone_text.units;
    rules->address.zone_length = zone_text.length;
    return 0;
}

static int
take_reading(SessionFilter *self, PyObject *pair, user_reading *reading)
{
    PyObject *domain, *account;
    if (!PyTuple_Check(pair)) {
        PyErr_SetString(PyExc_TypeError, "a reading must be a tuple");
        return -1;
    }
    if (!PyArg_ParseTuple(pair, "OU:UserPattern.parts", &domain, &account)) {
        return -1;
    }
    reading->has_domain = domain != Py_None;
    if (reading->has_domain && !PyUnicode_Check(domain)) {
        PyErr_SetString(PyExc_TypeError, "a domain must be a str or None");
        return -1;
    }
    return reading->has_domain && take_text(self, domain, &reading->domain) < 0
             ? -1
             : take_text(self, account, &reading->account);
}

/* UserPattern.parts: (typed, is_wild, readings), each reading (domain or None, account). */
static int
take_user(SessionFilter *self, PyObject *parts, filter_pattern *pattern)
{
    user_pattern *rules = &pattern->rules.user;
    PyObject *typed, *readings;
    int is_wild;
    if (!PyArg_ParseTuple(parts, "UpO!:UserPattern.parts", &typed, &is_wild, &PyTuple_Type,
                          &readings)
        || take_text(self, typed, &rules->typed) < 0) {
        return -1;
    }
    Py_ssize_t count = PyTuple_GET_SIZE(readings);
    if (count < 1 || count > USER_READINGS) {
        PyErr_SetString(PyExc_ValueError, "a user must have one or two readings");
        return -1;
    }
    rules->is_wild = is_wild != 0;
    rules->count = (int)count;
    for (Py_ssize_t i = 0; i < count; i++) {
        if (take_reading(self, PyTuple_GET_ITEM(readings, i), &rules->readings[i]) < 0) {
            return -1;
        }
    }
    return 0;
}

/* What a pattern's `parts` say, a new tuple. */
static PyObject *
parts_of(PyObject *pattern)
{
    PyObject *parts = PyObject_GetAttrString(pattern, "parts");
    if (parts != NULL && !PyTuple_Check(parts)) {
        PyErr_SetString(PyExc_TypeError, "a pattern's parts must be a tuple");
        Py_CLEAR(parts);
    }
    return parts;
}

/* Fills a list from a tuple of patterns, whose parts `take` understands. What is counted is owned. */
static int
take_patterns(SessionFilter *self, PyObject *patterns,
              int (*take)(SessionFilter *self, PyObject *parts, filter_pattern *pattern),
              pattern_list *list)
{
    Py_ssize_t count = PyTuple_GET_SIZE(patterns);
    list->items = PyMem_Calloc((size_t)count + 1, sizeof(filter_pattern));
    if (list->items == NULL) {
        (void)PyErr_NoMemory();
        return -1;
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *parts = parts_of(PyTuple_GET_ITEM(patterns, i));
        if (parts == NULL || take(self, parts, &list->items[i]) < 0) {
            Py_XDECREF(parts);
            return -1;
        }
        Py_DECREF(parts);
        list->items[i].object = Py_NewRef(PyTuple_GET_ITEM(patterns, i));
        list->count = i + 1;
    }
    return 0;
}

static int
take_limit(PyObject *value, const char *argument, dword_limit *limit)
{
    limit->is_set = value != Py_None;
    return limit->is_set ? argument_dword(value, argument, &limit->value) : 0;
}

static PyObject *
filter_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *keywords[]
        = {"clients",     "users",       "own_clients", "own_users",   "idle_time",
           "active_time", "least_opens", "most_opens",  "no_machines", NULL};
    PyObject *clients, *users, *own_clients, *own_users;
    PyObject *idle_time, *active_time, *least_opens, *most_opens;
    int no_machines;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O!O!O!O!OOOOp:SessionFilter", keywords,
                                     &PyTuple_Type, &clients, &PyTuple_Type, &users, &PyTuple_Type,
                                     &own_clients, &PyTuple_Type, &own_users, &idle_time,
                                     &active_time, &least_opens, &most_opens, &no_machines)) {
        return NULL;
    }
    SessionFilter *self = (SessionFilter *)type->tp_alloc(type, 0); /* all NULL and 0 */
    if (self == NULL) {
        return NULL;
    }
    PyObject_GC_UnTrack(self); /* until it is whole: patterns are asked what they are */
    self->no_machines = no_machines != 0;
    self->texts = PyList_New(0);
    if (self->texts == NULL || take_patterns(self, clients, take_client, &self->clients) < 0
        || take_patterns(self, users, take_user, &self->users) < 0
        || take_patterns(self, own_clients, take_client, &self->own_clients) < 0
        || take_patterns(self, own_users, take_user, &self->own_users) < 0
        || take_limit(idle_time, "idle_time", &self->idle_time) < 0
        || take_limit(active_time, "active_time", &self->active_time) < 0
        || take_limit(least_opens, "least_opens", &self->least_opens) < 0
        || take_limit(most_opens, "most_opens", &self->most_opens) < 0) {
        Py_DECREF(self);
        return NULL;
    }
    PyObject_GC_Track(self);
    return (PyObject *)self;
}

#define PATTERN_LISTS 4

static int
filter_traverse(SessionFilter *self, visitproc visit, void *arg)
{
    const pattern_list *lists[PATTERN_LISTS]
        = {&self->clients, &self->users, &self->own_clients, &self->own_users};
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->texts);
    for (int which = 0; which < PATTERN_LISTS; which++) {
        for (Py_ssize_t i = 0; i < lists[which]->count; i++) {
            Py_VISIT(lists[which]->items[i].object);
        }
    }
    return 0;
}

/* No tp_clear: like a tuple's, its cycles go through an object that has one, a pattern's dict. */
static void
filter_dealloc(SessionFilter *self)
{
    PyTypeObject *type = Py_TYPE(self);
    const pattern_list *lists[PATTERN_LISTS]
        = {&self->clients, &self->users, &self->own_clients, &self->own_users};
    PyObject_GC_UnTrack(self);
    for (int which = 0; which < PATTERN_LISTS; which++) {
        for (Py_ssize_t i = 0; i < lists[which]->count; i++) {
            Py_DECREF(lists[which]->items[i].object);
        }
        PyMem_Free(lists[which]->items);
    }
    Py_XDECREF(self->texts);
    type->tp_free(self);
    Py_DECREF(type);
}

/* --- filtering a page ---------------------------------------------------------------------- */

/* What a client's pattern knows while a page is filtered. */
typedef struct {
    bool met;
    bool looked_up;
    ip_address *addresses; /* owned: what it resolves to */
    size_t count;
} client_progress;

typedef struct {
    const SessionFilter *filter;
    const session_field *client_name, *user_name, *num_opens, *active_time, *idle_time;
    client_progress *clients; /* owned: one for each pattern */
    bool *users_met;          /* owned: likewise */
    string_cache *cache;      /* owned, may be NULL: for names that are remembered */
} filter_run;

/* Remembers a name in a dict that is a pattern's attribute. */
static int
remember(filter_run *run, PyObject *pattern, const char *attribute, field_id field,
         name_slice name, Py_ssize_t most)
{
    int result = -1;
    PyObject *text = NULL;
    PyObject *names = PyObject_GetAttrString(pattern, attribute);
    if (names == NULL || !PyDict_Check(names)) {
        if (names != NULL) {
            PyErr_Format(PyExc_TypeError, "%s must be a dict", attribute);
        }
        goto done;
    }
    if (PyDict_GET_SIZE(names) >= most) {
        result = 0;
        goto done;
    }
    /* The cache takes terminated names only: brackets of an address are not. */
    text = name.units[name.length] == 0 ? string_cache_get(run->cache, field, name.units)
                                        : utf16_to_str(name.units, name.length);
    if (text != NULL) {
        result = PyDict_SetDefault(names, text, Py_None) == NULL ? -1 : 0;
    }
done:
    Py_XDECREF(text);
    Py_XDECREF(names);
    return result;
}

/* Asks a pattern for the addresses of its name, which are looked up once a query. */
static int
look_up(const filter_pattern *client, client_progress *known)
{
    int result = -1;
    PyObject *units = NULL, *list = NULL;
    PyObject *found = PyObject_CallMethod(client->object, "addresses", NULL);
    if (found == NULL || (list = PySequence_List(found)) == NULL) {
        goto done;
    }
    known->addresses = PyMem_Calloc((size_t)PyList_GET_SIZE(list) + 1, sizeof(ip_address));
    if (known->addresses == NULL) {
        (void)PyErr_NoMemory();
        goto done;
    }
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(list); i++) {
        PyObject *text = PyList_GET_ITEM(list, i);
        if (!PyUnicode_Check(text)) {
            PyErr_SetString(PyExc_TypeError, "an address must be a str");
            goto done;
        }
        units = utf16_from_str(text, "an address");
        if (units == NULL) {
            goto done;
        }
        const utf16_unit *start = (const utf16_unit *)(const void *)PyBytes_AS_STRING(units);
        size_t length = (size_t)PyBytes_GET_SIZE(units) / sizeof(utf16_unit) - 1;
        ip_address *address = &known->addresses[known->count];
        known->count += ip_address_parse(start, length, address) ? 1 : 0; /* zones play no part */
        Py_CLEAR(units);
    }
    known->looked_up = true;
    result = 0;
done:
    Py_XDECREF(found);
    Py_XDECREF(list);
    Py_XDECREF(units);
    return result;
}

/* Whether a listed client is an address that the pattern's name resolves to; -1 with an exception
   set. */
static int
resolves_to(filter_run *run, Py_ssize_t index, name_slice bare)
{
    const filter_pattern *client = &run->filter->clients.items[index];
    client_progress *known = &run->clients[index];
    ip_address address;
    if (!client->is_host || !ip_address_parse(bare.units, bare.length, &address)) {
        return 0;
    }
    if (!known->looked_up && look_up(client, known) < 0) {
        return -1;
    }
    for (size_t i = 0; i < known->count; i++) {
        if (ip_address_same(&known->addresses[i], &address)) {
            int failed
                = remember(run, client->object, "taken", FIELD_CLIENT_NAME, bare, PY_SSIZE_T_MAX);
            return failed < 0 ? -1 : 1;
        }
    }
    return 0;
}

/* Whether a listed client is one of those that are looked for: each that it fits is met. */
static int
fits_clients(filter_run *run, const utf16_unit *listed)
{
    const pattern_list *patterns = &run->filter->clients;
    if (patterns->count == 0) {
        return 1;
    }
    if (listed == NULL || *listed == 0) {
        return 0;
    }
    int any = 0;
    name_slice bare = name_bare_client(listed);
    for (Py_ssize_t i = 0; i < patterns->count; i++) {
        int fits = client_pattern_fit(&patterns->items[i].rules.client, bare) != NAME_NO;
        if (!fits) {
            fits = resolves_to(run, i, bare);
        }
        if (fits < 0) {
            return -1;
        }
        run->clients[i].met |= fits > 0;
        any |= fits;
    }
    return any;
}

static int
fits_users(filter_run *run, const listed_user *listed)
{
    const pattern_list *patterns = &run->filter->users;
    int any = patterns->count == 0;
    for (Py_ssize_t i = 0; i < patterns->count; i++) {
        bool elsewhere;
        const filter_pattern *user = &patterns->items[i];
        if (user_pattern_fit(&user->rules.user, listed, &elsewhere) != NAME_NO) {
            run->users_met[i] = true;
            any = 1;
        }
        if (elsewhere
            && remember(run, user->object, "elsewhere", FIELD_USER_NAME, listed->name,
                        MOST_ELSEWHERE)
                   < 0) {
            return -1;
        }
    }
    return any;
}

/* Whether a session may be the caller's own. */
static bool
is_own(const SessionFilter *filter, const utf16_unit *client, const listed_user *user)
{
    bool ours = false, elsewhere;
    if (client == NULL || *client == 0) {
        return false;
    }
    for (Py_ssize_t i = 0; !ours && i < filter->own_users.count; i++) {
        const user_pattern *rules = &filter->own_users.items[i].rules.user;
        ours = user_pattern_fit(rules, user, &elsewhere) != NAME_NO;
    }
    if (!ours) {
        return false;
    }
    name_slice bare = name_bare_client(client);
    for (Py_ssize_t i = 0; i < filter->own_clients.count; i++) {
        if (client_pattern_fit(&filter->own_clients.items[i].rules.client, bare) != NAME_NO) {
            return true;
        }
    }
    return false;
}

static bool
lasts(const dword_limit *least, const session_field *field, const unsigned char *entry)
{
    if (!least->is_set) {
        return true;
    }
    uint32_t value = field == NULL ? UNKNOWN_TIME : session_info_dword(entry, field);
    return value != UNKNOWN_TIME && value >= least->value;
}

static bool
opens_fit(const filter_run *run, const unsigned char *entry)
{
    const dword_limit *least = &run->filter->least_opens, *most = &run->filter->most_opens;
    if (!least->is_set && !most->is_set) {
        return true;
    }
    if (run->num_opens == NULL) {
        return false;
    }
    uint32_t opens = session_info_dword(entry, run->num_opens);
    return (!least->is_set || opens >= least->value) && (!most->is_set || opens <= most->value);
}

static const utf16_unit *
string_of(const session_field *field, const unsigned char *entry)
{
    return field == NULL ? NULL : session_info_string(entry, field);
}

/* Names come first, so that all that there are have been met: messages tell of them. */
static int
entry_fits(filter_run *run, const unsigned char *entry)
{
    const SessionFilter *filter = run->filter;
    const utf16_unit *client = string_of(run->client_name, entry);
    int fits = fits_clients(run, client);
    if (fits <= 0) {
        return fits;
    }
    listed_user user = {.has_at = false};
    if (filter->users.count > 0 || filter->no_machines || filter->own_users.count > 0) {
        user = name_listed_user(string_of(run->user_name, entry));
        fits = fits_users(run, &user);
    }
    if (fits <= 0) {
        return fits;
    }
    return lasts(&filter->idle_time, run->idle_time, entry)
        && lasts(&filter->active_time, run->active_time, entry) && opens_fit(run, entry)
        && !(filter->no_machines && name_is_machine_account(&user))
        && !is_own(filter, client, &user);
}

/* Tells the patterns which of them were met; -1 with an exception set. */
static int
tell_met(const filter_run *run)
{
    const SessionFilter *filter = run->filter;
    int result = 0;
    for (Py_ssize_t i = 0; result == 0 && i < filter->clients.count; i++) {
        if (run->clients[i].met) {
            result = PyObject_SetAttrString(filter->clients.items[i].object, "met", Py_True);
        }
    }
    for (Py_ssize_t i = 0; result == 0 && i < filter->users.count; i++) {
        if (run->users_met[i]) {
            result = PyObject_SetAttrString(filter->users.items[i].object, "met", Py_True);
        }
    }
    return result;
}

static int
run_start(filter_run *run, const SessionFilter *filter, const session_level *level,
          Py_ssize_t length)
{
    *run = (filter_run){
        .filter = filter,
        .client_name = session_level_field(level, FIELD_CLIENT_NAME),
        .user_name = session_level_field(level, FIELD_USER_NAME),
        .num_opens = session_level_field(level, FIELD_NUM_OPENS),
        .active_time = session_level_field(level, FIELD_ACTIVE_TIME),
        .idle_time = session_level_field(level, FIELD_IDLE_TIME),
        .clients = PyMem_Calloc((size_t)filter->clients.count + 1, sizeof(client_progress)),
        .users_met = PyMem_Calloc((size_t)filter->users.count + 1, sizeof(bool)),
    };
    if (run->clients == NULL || run->users_met == NULL) {
        (void)PyErr_NoMemory();
        return -1;
    }
    run->cache = string_cache_new(length);
    return 0;
}

static void
run_end(filter_run *run)
{
    for (Py_ssize_t i = 0; run->clients != NULL && i < run->filter->clients.count; i++) {
        PyMem_Free(run->clients[i].addresses);
    }
    PyMem_Free(run->clients);
    PyMem_Free(run->users_met);
    string_cache_free(run->cache);
}

Py_ssize_t
session_filter_keep(PyObject *filter, const session_level *level, const unsigned char *entries,
                    Py_ssize_t length, unsigned char *kept)
{
    filter_run run;
    Py_ssize_t count = 0;
    int failed = run_start(&run, (const SessionFilter *)filter, level, length);
    for (Py_ssize_t i = 0; failed == 0 && i < length; i++) {
        const unsigned char *entry = entries + (size_t)i * level->size;
        int fits = entry_fits(&run, entry);
        if (fits > 0) {
            memcpy(kept + (size_t)count++ * level->size, entry, level->size);
        }
        failed = fits < 0 || (i % BETWEEN_SIGNALS == 0 && PyErr_CheckSignals() < 0);
    }
    if (!failed) {
        failed = tell_met(&run) < 0;
    }
    run_end(&run);
    return failed ? -1 : count;
}

/* --- type ---------------------------------------------------------------------------------- */

PyDoc_STRVAR(filter_doc,
"SessionFilter(clients, users, own_clients, own_users, idle_time, active_time, least_opens,\n"
"              most_opens, no_machines)\n--\n\n"
"Conditions for SessionPage.filter(): all must be true, of several names any.\n\n"
"clients and users are tuples of _names.ClientPattern and UserPattern, which are told what was\n"
"met; the own_ ones say whose sessions are left out. idle_time and active_time are the least\n"
"seconds, least_opens and most_opens numbers of opens: DWORDs, or None for any.");

static PyMethodDef filter_methods[] = {
    UNPICKLABLE_METHOD,
    {NULL, NULL, 0, NULL},
};

static PyType_Slot filter_slots[] = {
    {Py_tp_doc, (void *)filter_doc}, {Py_tp_new, filter_new},
    {Py_tp_dealloc, filter_dealloc}, {Py_tp_traverse, filter_traverse},
    {Py_tp_methods, filter_methods}, {0, NULL},
};

PyType_Spec session_filter_spec = {
    .name = "netsession._netsession.SessionFilter",
    .basicsize = sizeof(SessionFilter),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = filter_slots,
};
