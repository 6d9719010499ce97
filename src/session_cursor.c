#define PY_SSIZE_T_CLEAN
#include "session_cursor.h"

#include "arguments.h"
#include "session_page.h"
#include "srvsvc_stub.h"

/* So many replies in a row that say "more" and hold nothing are a server gone wrong: a filter may
   leave pages empty ([MS-SRVS] 3.1.4.5 resumes first and filters then), but not for ever. */
#define MAX_EMPTY_PAGES 1000000

/* Where the preferred maximum length starts to grow when not even one entry fits. */
#define SMALLEST_PREFERRED_LENGTH 4096u

typedef struct {
    PyObject_HEAD
    PyObject *backend;                /* owned */
    const netapi *api;                /* the backend's table; NULL: it is called with stubs */
    PyObject *server_name;            /* owned: str or None, for messages */
    PyObject *server, *client, *user; /* owned: UTF-16 as bytes, NULL where NULL is meant */
    const session_level *level;
    uint32_t preferred_length;
    uint32_t resume_handle;
    /* The handle is watched as Brent's algorithm watches a sequence for a cycle: a handle seen
       before repeats a request made before, so the server will never come to an end. */
    uint32_t watched_handle, watch_steps, watch_limit;
    uint32_t empty_pages;
    bool done;
    bool repeats; /* the next call would repeat an earlier one */
    bool busy;    /* a thread is in next(); changed under the GIL or a critical section */
} SessionCursor;

/* --- life --------------------------------------------------------------------------------- */

static int
cursor_traverse(SessionCursor *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->backend);
    Py_VISIT(self->server_name); /* may be of a subclass of str, with references of its own */
    return 0;
}

static int
cursor_clear(SessionCursor *self)
{
    Py_CLEAR(self->backend);
    Py_XSETREF(self->server_name, Py_NewRef(Py_None)); /* errors still pass it on */
    return 0;
}

static void
cursor_dealloc(SessionCursor *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    Py_CLEAR(self->backend);
    Py_CLEAR(self->server_name);
    Py_CLEAR(self->server);
    Py_CLEAR(self->client);
    Py_CLEAR(self->user);
    type->tp_free(self);
    Py_DECREF(type);
}

PyDoc_STRVAR(cursor_doc,
"SessionCursor(backend, server, client, user, level, preferred_length)\n--\n\n"
"An iterator of SessionPage: calls NetSessionEnum again while it answers ERROR_MORE_DATA.");

static PyObject *
cursor_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *keywords[]
        = {"backend", "server", "client", "user", "level", "preferred_length", NULL};
    PyObject *backend, *server, *client, *user, *level, *preferred_length;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOOOOO:SessionCursor", keywords, &backend,
                                     &server, &client, &user, &level, &preferred_length)) {
        return NULL;
    }
    SessionCursor *self = (SessionCursor *)type->tp_alloc(type, 0); /* all zero */
    if (self == NULL) {
        return NULL;
    }
    self->backend = Py_NewRef(backend);
    self->server_name = Py_NewRef(server);
    self->watch_limit = 1;
    if (argument_backend(backend, &self->api) < 0
        || argument_name(server, "server", &self->server) < 0
        || argument_name(client, "client", &self->client) < 0
        || argument_name(user, "user", &self->user) < 0 || argument_level(level, &self->level) < 0
        || argument_dword(preferred_length, "preferred_length", &self->preferred_length) < 0) {
        Py_DECREF(self);
        return NULL;
    }
    return (PyObject *)self;
}

/* --- one call ----------------------------------------------------------------------------- */

/* netapi32.dll or the simulator. What it leaves in `reply->entries` is ours to free. */
static void
call_netapi(SessionCursor *self, session_enum_reply *reply)
{
    uint32_t entries_read = 0;
    reply->level = self->level;
    reply->resume_handle = self->resume_handle;
    reply->has_resume_handle = true;
    Py_BEGIN_ALLOW_THREADS
    reply->status = self->api->session_enum(
        self->api->context, name_units(self->server), name_units(self->client),
        name_units(self->user), self->level->number, &reply->entries, self->preferred_length,
        &entries_read, &reply->total_entries, &reply->resume_handle);
    Py_END_ALLOW_THREADS
    reply->count = entries_read;
}

/* MS-SRVS over whatever the backend speaks: the reply's owner is its stub. */
static PyObject *
call_srvsvc(SessionCursor *self, const module_state *state, session_enum_reply *reply)
{
    PyObject *request = NULL, *answer = NULL, *stub = NULL;
    const srvsvc_enum_request arguments = {
        .server = name_units(self->server),
        .client = name_units(self->client),
        .user = name_units(self->user),
        .level = self->level->number,
        .preferred_length = self->preferred_length,
        .resume_handle = self->resume_handle,
        .has_resume_handle = true,
    };
    request = stub_encode_enum(&arguments);
    if (request == NULL) {
        goto done;
    }
    answer = PyObject_CallFunction(self->backend, "iO", OPNUM_SESSION_ENUM, request);
    if (answer == NULL) {
        goto done;
    }
    stub = stub_from_object(answer);
    if (stub != NULL && stub_decode_enum(state, stub, reply, self->server_name) < 0) {
        Py_CLEAR(stub);
    }
done:
    Py_XDECREF(request);
    Py_XDECREF(answer);
    return stub;
}

static bool
has_list(uint32_t status)
{
    return status == NET_SUCCESS || status == NET_MORE_DATA;
}

/* What a reply with a list must be besides well-formed. Servers may leave out the container of
   an empty list, and illumos answers errors with level 0. */
static int
check_reply(const SessionCursor *self, const module_state *state, session_enum_reply *reply)
{
    srvsvc_error error = {.problem = NULL};
    if (reply->level == NULL) {
        reply->level = self->level;
    }
    if (reply->level != self->level) {
        error = (srvsvc_error){"Level", "it is not the level that was asked for", 0};
    }
    else if (reply->count > 0 && reply->entries == NULL) {
        error = (srvsvc_error){"Buffer", "entries are counted, but there is no buffer", 0};
    }
    else if (reply->count > (size_t)PY_SSIZE_T_MAX / reply->level->size) {
        error = (srvsvc_error){"EntriesRead", "more entries are counted than memory holds", 0};
    }
    if (error.problem == NULL) {
        return 0;
    }
    (void)raise_malformed(state, &error, "NetSessionEnum", self->server_name);
    return -1;
}

/* One call, as a page. NULL with an exception set, or NULL without one where the preferred
   maximum length was too small and has been raised. */
static PyObject *
fetch_page(SessionCursor *self, module_state *state, session_enum_reply *reply)
{
    PyObject *page = NULL;
    PyObject *owner = NULL;
    *reply = (session_enum_reply){.level = NULL};
    if (self->api != NULL) {
        owner = Py_NewRef(self->backend);
        call_netapi(self, reply);
    }
    else {
        owner = call_srvsvc(self, state, reply);
        if (owner == NULL) {
            return NULL;
        }
    }
    if (reply->status == NET_BUF_TOO_SMALL && self->preferred_length != MAX_PREFERRED_LENGTH_ALL) {
        uint32_t length = self->preferred_length;
        self->preferred_length = length < SMALLEST_PREFERRED_LENGTH    ? SMALLEST_PREFERRED_LENGTH
                               : length > MAX_PREFERRED_LENGTH_ALL / 2 ? MAX_PREFERRED_LENGTH_ALL
                                                                       : length * 2;
    }
    else if (!has_list(reply->status)) {
        (void)raise_status(state, reply->status, "NetSessionEnum", self->server_name,
                           self->api == NULL ? "call" : NULL);
    }
    else if (check_reply(self, state, reply) == 0) {
        page = session_page_new(state, reply, self->api, owner);
        reply->entries = NULL; /* the page's now */
    }
    session_entries_free(self->api, reply->entries);
    reply->entries = NULL;
    Py_DECREF(owner);
    return page;
}

/* --- paging ------------------------------------------------------------------------------- */

/* Takes over the reply's resume handle; true where the handle was seen before. */
static bool
handle_repeats(SessionCursor *self, const session_enum_reply *reply)
{
    uint32_t handle = reply->has_resume_handle ? reply->resume_handle : 0;
    bool repeats = handle == self->watched_handle || handle == self->resume_handle;
    if (++self->watch_steps == self->watch_limit) {
        self->watched_handle = handle;
        self->watch_steps = 0;
        self->watch_limit *= 2;
    }
    self->resume_handle = handle;
    return repeats;
}

static PyObject *
raise_stuck(const SessionCursor *self, const module_state *state)
{
    return raise_no_progress(state, "NetSessionEnum", self->server_name,
                             "The server says that there is more, but does not move on");
}

/* What follows from a page's status: the end, or where the next call starts. -1 with an
   exception set where there is neither an entry nor a way on. */
static int
advance(SessionCursor *self, const module_state *state, const session_enum_reply *reply)
{
    if (reply->status != NET_MORE_DATA) { /* the status decides, never handle or total */
        self->done = true;
        return 0;
    }
    self->empty_pages = reply->count == 0 ? self->empty_pages + 1 : 0;
    self->repeats = handle_repeats(self, reply);
    if (self->empty_pages > MAX_EMPTY_PAGES || (self->repeats && reply->count == 0)) {
        (void)raise_stuck(self, state);
        return -1;
    }
    return 0;
}

static PyObject *
next_page(SessionCursor *self)
{
    module_state *state = state_of((PyObject *)self);
    session_enum_reply reply;
    PyObject *page = NULL;
    if (self->repeats) {
        return raise_stuck(self, state);
    }
    while (page == NULL) {
        if (PyErr_CheckSignals() < 0) {
            return NULL;
        }
        page = fetch_page(self, state, &reply);
        if (page == NULL && PyErr_Occurred()) {
            return NULL;
        }
    }
    if (advance(self, state, &reply) < 0) {
        Py_CLEAR(page);
    }
    return page;
}

/* Only one thread at a time may be in next_page(), which releases the GIL. */
static bool
cursor_enter(SessionCursor *self)
{
    bool entered;
    Py_BEGIN_CRITICAL_SECTION(self);
    entered = !self->busy;
    self->busy = true;
    Py_END_CRITICAL_SECTION();
    return entered;
}

static void
cursor_leave(SessionCursor *self)
{
    Py_BEGIN_CRITICAL_SECTION(self);
    self->busy = false;
    Py_END_CRITICAL_SECTION();
}

static PyObject *
cursor_next(SessionCursor *self)
{
    if (!cursor_enter(self)) {
        PyErr_SetString(PyExc_RuntimeError,
                        "this SessionCursor is already fetching a page in another thread");
        return NULL;
    }
    PyObject *page = NULL;
    if (!self->done) {
        page = next_page(self);
        self->done = self->done || page == NULL; /* after an error the resume handle is void */
    }
    cursor_leave(self);
    return page;
}

static PyObject *
cursor_get_level(SessionCursor *self, void *closure)
{
    (void)closure;
    return PyLong_FromUnsignedLong(self->level->number);
}

static PyGetSetDef cursor_getset[] = {
    {"level", (getter)cursor_get_level, NULL, "The information level asked for (int).", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot cursor_slots[] = {
    {Py_tp_doc, (void *)cursor_doc},
    {Py_tp_new, cursor_new},
    {Py_tp_dealloc, cursor_dealloc},
    {Py_tp_traverse, cursor_traverse},
    {Py_tp_clear, cursor_clear},
    {Py_tp_iter, PyObject_SelfIter},
    {Py_tp_iternext, cursor_next},
    {Py_tp_getset, cursor_getset},
    {0, NULL},
};

PyType_Spec session_cursor_spec = {
    .name = "netsession._netsession.SessionCursor",
    .basicsize = sizeof(SessionCursor),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = cursor_slots,
};
