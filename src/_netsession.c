/* The module netsession._netsession: its functions and its state. Private to the package; what
   programs use is in netsession/__init__.py. */

#define PY_SSIZE_T_CLEAN
#include "module.h"

#include "arguments.h"
#include "arrow_stream.h"
#include "call_lock.h"
#include "delete_guard.h"
#include "module_slots.h"
#include "page_pickle.h"
#include "name_functions.h"
#include "session_cursor.h"
#include "session_filter.h"
#include "session_page.h"
#include "srvsvc_stub.h"

static module_state *
state_of_module(PyObject *module)
{
    return (module_state *)PyModule_GetState(module);
}

/* --- NDR codec ---------------------------------------------------------------------------- */

PyDoc_STRVAR(encode_enum_request_doc,
"encode_enum_request($module, /, server, client, user, level, preferred_length,\n"
"                    resume_handle)\n--\n\n"
"The request stub of NetrSessionEnum ([MS-SRVS] 3.1.4.5) as bytes.\n\n"
"Names are str or None, sent as they are; preferred_length (bytes) and resume_handle are\n"
"DWORDs, and a resume_handle of None sends a NULL pointer.");

static PyObject *
encode_enum_request(PyObject *module, PyObject *args, PyObject *kwargs)
{
    static char *keywords[]
        = {"server", "client", "user", "level", "preferred_length", "resume_handle", NULL};
    PyObject *server, *client, *user, *level, *preferred_length, *resume_handle;
    PyObject *server_units = NULL, *client_units = NULL, *user_units = NULL, *stub = NULL;
    const session_level *row = NULL;
    srvsvc_enum_request request = {.has_resume_handle = false};
    (void)module;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOOOOO:encode_enum_request", keywords, &server,
                                     &client, &user, &level, &preferred_length, &resume_handle)) {
        return NULL;
    }
    if (argument_name(server, "server", &server_units) < 0
        || argument_name(client, "client", &client_units) < 0
        || argument_name(user, "user", &user_units) < 0 || argument_level(level, &row) < 0
        || argument_dword(preferred_length, "preferred_length", &request.preferred_length) < 0) {
        goto done;
    }
    request.has_resume_handle = resume_handle != Py_None;
    if (request.has_resume_handle
        && argument_dword(resume_handle, "resume_handle", &request.resume_handle) < 0) {
        goto done;
    }
    request.server = name_units(server_units);
    request.client = name_units(client_units);
    request.user = name_units(user_units);
    request.level = row->number;
    stub = stub_encode_enum(&request);
done:
    Py_XDECREF(server_units);
    Py_XDECREF(client_units);
    Py_XDECREF(user_units);
    return stub;
}

PyDoc_STRVAR(decode_enum_response_doc,
"decode_enum_response($module, stub, /)\n--\n\n"
"The reply stub of NetrSessionEnum as (status, total_entries, resume_handle, page).\n\n"
"resume_handle is None for a NULL pointer, page for a NULL container. The page refers to the\n"
"stub; no string is copied before it is read. Raises netsession.errors.MalformedReply.\n\n"
"What formats leave open: a NUL inside a string is refused, since a Windows string would lose\n"
"what follows; up to seven zero bytes after the end are taken for padding, others refused.");

static PyObject *
decode_enum_response(PyObject *module, PyObject *value)
{
    module_state *state = state_of_module(module);
    session_enum_reply reply;
    PyObject *page = NULL, *result = NULL;
    PyObject *stub = stub_from_object(value);
    if (stub == NULL || stub_decode_enum(state, stub, &reply, Py_None) < 0) {
        goto done;
    }
    page = reply.level == NULL ? Py_NewRef(Py_None) : session_page_new(state, &reply, NULL, stub);
    if (page == NULL) {
        goto done;
    }
    result = reply.has_resume_handle
               ? Py_BuildValue("kkkO", (unsigned long)reply.status,
                               (unsigned long)reply.total_entries,
                               (unsigned long)reply.resume_handle, page)
               : Py_BuildValue("kkOO", (unsigned long)reply.status,
                               (unsigned long)reply.total_entries, Py_None, page);
done:
    Py_XDECREF(stub);
    Py_XDECREF(page);
    return result;
}

/* The names of a NetSessionDel, owned: UTF-16 as bytes, NULL where NULL is meant. */
typedef struct {
    PyObject *server, *client, *user;
} delete_names;

static void
delete_names_clear(delete_names *names)
{
    Py_CLEAR(names->server);
    Py_CLEAR(names->client);
    Py_CLEAR(names->user);
}

/* What is too long gets the error that a server would answer. */
static int
raise_delete_refusal(const module_state *state, const delete_refusal *refusal, PyObject *server)
{
    if (refusal->too_long) {
        (void)raise_refused(state, NET_INVALID_PARAMETER, "NetSessionDel", server,
                            refusal->problem);
    }
    else {
        PyErr_SetString(state->unsafe_delete, refusal->problem);
    }
    return -1;
}

/* The one way to the names of a delete, so that none that is unsafe can be sent or encoded: -1
   with an exception set. The caller clears `names`, which start as NULL, whatever happens. */
static int
argument_delete_names(const module_state *state, PyObject *server, PyObject *client,
                      PyObject *user, delete_names *names)
{
    delete_refusal refusal;
    if (argument_name(server, "server", &names->server) < 0
        || argument_name(client, "client", &names->client) < 0
        || argument_name(user, "user", &names->user) < 0) {
        return -1;
    }
    return delete_is_safe(name_units(names->client), name_units(names->user), &refusal)
             ? 0
             : raise_delete_refusal(state, &refusal, server);
}

PyDoc_STRVAR(encode_delete_request_doc,
"encode_delete_request($module, /, server, client, user)\n--\n\n"
"The request stub of NetrSessionDel ([MS-SRVS] 3.1.4.6) as bytes; names are str or None.\n\n"
"UnsafeDeleteError, a ValueError, where a server might end more than what is named, and\n"
"InvalidParameter for a name that is too long, as session_del() raises them.");

static PyObject *
encode_delete_request(PyObject *module, PyObject *args, PyObject *kwargs)
{
    static char *keywords[] = {"server", "client", "user", NULL};
    PyObject *server, *client, *user, *stub = NULL;
    delete_names names = {NULL, NULL, NULL};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOO:encode_delete_request", keywords, &server,
                                     &client, &user)) {
        return NULL;
    }
    if (argument_delete_names(state_of_module(module), server, client, user, &names) == 0) {
        stub = stub_encode_del(name_units(names.server), name_units(names.client),
                               name_units(names.user));
    }
    delete_names_clear(&names);
    return stub;
}

PyDoc_STRVAR(decode_delete_response_doc,
"decode_delete_response($module, stub, /)\n--\n\n"
"The status in a reply stub of NetrSessionDel (int). Raises netsession.errors.MalformedReply.");

static PyObject *
decode_delete_response(PyObject *module, PyObject *value)
{
    uint32_t status = 0;
    PyObject *stub = stub_from_object(value);
    int result
        = stub == NULL ? -1 : stub_decode_del(state_of_module(module), stub, &status, Py_None);
    Py_XDECREF(stub);
    return result < 0 ? NULL : PyLong_FromUnsignedLong(status);
}

/* --- NetSessionGetInfo and NetSessionDel ---------------------------------------------------- */

PyDoc_STRVAR(session_get_info_doc,
"session_get_info($module, /, backend, server, client, user, level)\n--\n\n"
"NetSessionGetInfo: a SessionPage with one entry. backend is None (netapi32.dll) or a capsule;\n"
"MS-SRVS has no such call.");

static PyObject *
session_get_info(PyObject *module, PyObject *args, PyObject *kwargs)
{
    static char *keywords[] = {"backend", "server", "client", "user", "level", NULL};
    PyObject *backend, *server, *client, *user, *level;
    PyObject *server_units = NULL, *client_units = NULL, *user_units = NULL, *page = NULL;
    const netapi *api = NULL;
    session_enum_reply reply = {.count = 1, .total_entries = 1};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOOOO:session_get_info", keywords, &backend,
                                     &server, &client, &user, &level)) {
        return NULL;
    }
    if (argument_backend(backend, &api) < 0 || argument_name(server, "server", &server_units) < 0
        || argument_name(client, "client", &client_units) < 0
        || argument_name(user, "user", &user_units) < 0
        || argument_level(level, &reply.level) < 0) {
        goto done;
    }
    if (api == NULL) {
        PyErr_SetString(PyExc_TypeError, "backend must be None or a capsule");
        goto done;
    }
    Py_BEGIN_ALLOW_THREADS
    reply.status
        = api->session_get_info(api->context, name_units(server_units), name_units(client_units),
                                name_units(user_units), reply.level->number, &reply.entries);
    Py_END_ALLOW_THREADS
    module_state *state = state_of_module(module);
    if (reply.status == NET_SUCCESS && reply.entries != NULL) {
        page = session_page_new(state, &reply, api, backend);
        reply.entries = NULL; /* the page's now */
    }
    else if (reply.status == NET_SUCCESS) {
        const srvsvc_error error = {"Buffer", "a session was found, but there is no buffer", 0};
        (void)raise_malformed(state, &error, "NetSessionGetInfo", server, NULL);
    }
    else {
        (void)raise_status(state, reply.status, "NetSessionGetInfo", server, NULL);
    }
    session_entries_free(api, reply.entries);
done:
    Py_XDECREF(server_units);
    Py_XDECREF(client_units);
    Py_XDECREF(user_units);
    return page;
}

/* NetrSessionDel over a callable backend; -1 with an exception set. */
static int
call_srvsvc_del(const module_state *state, PyObject *backend, const delete_names *names,
                PyObject *server_name, uint32_t *status)
{
    int result = -1;
    PyObject *answer = NULL, *stub = NULL;
    PyObject *request = stub_encode_del(name_units(names->server), name_units(names->client),
                                        name_units(names->user));
    if (request == NULL) {
        goto done;
    }
    answer = PyObject_CallFunction(backend, "iO", OPNUM_SESSION_DEL, request);
    if (answer == NULL) {
        goto done;
    }
    stub = stub_from_object(answer);
    if (stub != NULL) {
        result = stub_decode_del(state, stub, status, server_name);
    }
done:
    Py_XDECREF(request);
    Py_XDECREF(answer);
    Py_XDECREF(stub);
    return result;
}

PyDoc_STRVAR(session_del_doc,
"session_del($module, /, backend, server, client, user)\n--\n\n"
"NetSessionDel: ends the sessions from a client, of a user, or of a user from a client.\n"
"Naming neither, or giving a name that a server may take for everybody's (empty once slashes,\n"
"brackets, wildcards, dots and blanks are gone), raises UnsafeDeleteError, a ValueError, and\n"
"nothing is sent: Samba would end every session. Neither is a name above 1,023 UTF-16 units,\n"
"which raises InvalidParameter.");

static PyObject *
session_del(PyObject *module, PyObject *args, PyObject *kwargs)
{
    static char *keywords[] = {"backend", "server", "client", "user", NULL};
    PyObject *backend, *server, *client, *user, *result = NULL;
    delete_names names = {NULL, NULL, NULL};
    const netapi *api = NULL;
    uint32_t status = NET_SUCCESS;
    module_state *state = state_of_module(module);
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOOO:session_del", keywords, &backend, &server,
                                     &client, &user)) {
        return NULL;
    }
    if (argument_backend(backend, &api) < 0
        || argument_delete_names(state, server, client, user, &names) < 0) {
        goto done;
    }
    if (api == NULL) {
        if (call_srvsvc_del(state, backend, &names, server, &status) < 0) {
            goto done;
        }
    }
    else {
        Py_BEGIN_ALLOW_THREADS
        status = api->session_del(api->context, name_units(names.server), name_units(names.client),
                                  name_units(names.user));
        Py_END_ALLOW_THREADS
    }
    result = status == NET_SUCCESS
               ? Py_NewRef(Py_None)
               : raise_status(state, status, "NetSessionDel", server, api == NULL ? "call" : NULL);
done:
    delete_names_clear(&names);
    return result;
}

/* --- module ------------------------------------------------------------------------------- */

#define WITH_KEYWORDS(name) \
    { \
#name, (PyCFunction)(void (*)(void))name, METH_VARARGS | METH_KEYWORDS, name##_doc \
    }

static PyMethodDef module_methods[] = {
    WITH_KEYWORDS(encode_enum_request),
    {"decode_enum_response", decode_enum_response, METH_O, decode_enum_response_doc},
    WITH_KEYWORDS(encode_delete_request),
    {"decode_delete_response", decode_delete_response, METH_O, decode_delete_response_doc},
    WITH_KEYWORDS(session_get_info),
    WITH_KEYWORDS(session_del),
    ARROW_MODULE_METHODS,
    PICKLE_MODULE_METHODS,
    NAME_MODULE_METHODS,
    {NULL, NULL, 0, NULL},
};

static bool
are_field_names(PyObject *names, const session_level *level)
{
    bool same = PyTuple_Check(names) && PyTuple_GET_SIZE(names) == level->field_count;
    for (int i = 0; same && i < level->field_count; i++) {
        PyObject *name = PyTuple_GET_ITEM(names, i);
        same = PyUnicode_Check(name)
            && PyUnicode_CompareWithASCIIString(name, level->fields[i].name) == 0;
    }
    return same;
}

/* Whether instances of a class are tuples and no more. A dict makes them larger, or since 3.12 lies
   before them. */
static bool
makes_plain_tuples(PyObject *type)
{
    return PyType_Check(type) && PyType_IsSubtype((PyTypeObject *)type, &PyTuple_Type)
        && ((PyTypeObject *)type)->tp_basicsize == PyTuple_Type.tp_basicsize
        && ((PyTypeObject *)type)->tp_dictoffset == 0;
}

/* The names of a class's fields, a new reference, if it may be allocated as a plain tuple of the
   level's fields in their order; otherwise NULL with an exception set. */
static PyObject *
record_field_names(PyObject *type, const session_level *level)
{
    if (!makes_plain_tuples(type)) {
        PyErr_Format(PyExc_TypeError, "netsession.records.%s is not a NamedTuple",
                     level->record_name);
        return NULL;
    }
    PyObject *names = PyObject_GetAttrString(type, "_fields");
    if (names != NULL && !are_field_names(names, level)) {
        PyErr_Format(PyExc_TypeError, "netsession.records.%s does not have the level's fields",
                     level->record_name);
        Py_CLEAR(names);
    }
    return names;
}

static int
add_record_type(module_state *state, PyObject *records, size_t index)
{
    const session_level *level = &session_levels[index];
    PyObject *type = PyObject_GetAttrString(records, level->record_name);
    if (type == NULL) {
        return -1;
    }
    state->field_names[index] = record_field_names(type, level);
    if (state->field_names[index] == NULL) {
        Py_DECREF(type);
        return -1;
    }
    state->record_types[index] = (PyTypeObject *)type;
    return 0;
}

static int
add_record_types(module_state *state)
{
    int result = 0;
    PyObject *records = PyImport_ImportModule("netsession.records");
    if (records == NULL) {
        return -1;
    }
    for (size_t i = 0; result == 0 && i < SESSION_LEVELS; i++) {
        result = add_record_type(state, records, i);
    }
    Py_DECREF(records);
    return result;
}

static int
add_errors(module_state *state)
{
    PyObject *errors = PyImport_ImportModule("netsession.errors");
    if (errors == NULL) {
        return -1;
    }
    state->error_from_status = PyObject_GetAttrString(errors, "error_from_status");
    state->malformed_reply = PyObject_GetAttrString(errors, "MalformedReply");
    state->no_progress = PyObject_GetAttrString(errors, "NoProgress");
    Py_DECREF(errors);
    return state->error_from_status == NULL || state->malformed_reply == NULL
                || state->no_progress == NULL
             ? -1
             : 0;
}

static int
add_unsafe_delete(PyObject *module, module_state *state)
{
    state->unsafe_delete = PyErr_NewExceptionWithDoc(
        "netsession._netsession.UnsafeDeleteError",
        "A delete that a server might take for more than was named; nothing was sent.",
        PyExc_ValueError, NULL);
    return state->unsafe_delete == NULL
             ? -1
             : PyModule_AddObjectRef(module, "UnsafeDeleteError", state->unsafe_delete);
}

static PyTypeObject *
make_type(PyObject *module, PyType_Spec *spec)
{
    return (PyTypeObject *)PyType_FromModuleAndSpec(module, spec, NULL);
}

/* A page has all that sequences have, and says so to isinstance(). The module with the abstract
   classes is there since Python started. */
static int
register_sequence(PyTypeObject *page_type)
{
    PyObject *classes = NULL, *sequence = NULL, *registered = NULL;
    classes = PyImport_ImportModule("_collections_abc");
    sequence = classes == NULL ? NULL : PyObject_GetAttrString(classes, "Sequence");
    registered
        = sequence == NULL ? NULL : PyObject_CallMethod(sequence, "register", "O", page_type);
    int result = registered == NULL ? -1 : 0;
    Py_XDECREF(classes);
    Py_XDECREF(sequence);
    Py_XDECREF(registered);
    return result;
}

/* Functions and types come last: who finds the module before, in sys.modules or through the
   collector, finds nothing in it that could use a state that is not there yet. */
static int
module_exec(PyObject *module)
{
    module_state *state = state_of_module(module);
    if ((state->interpreter = interpreter_life_current()) == NULL || add_record_types(state) < 0
        || add_errors(state) < 0 || add_unsafe_delete(module, state) < 0
        || (state->page_type = make_type(module, &session_page_spec)) == NULL
        || (state->page_iterator_type = make_type(module, &session_page_iterator_spec)) == NULL
        || (state->cursor_type = make_type(module, &session_cursor_spec)) == NULL
        || (state->call_lock_type = make_type(module, &call_lock_spec)) == NULL
        || (state->filter_type = make_type(module, &session_filter_spec)) == NULL
        || register_sequence(state->page_type) < 0
        || PyModule_AddType(module, state->page_type) < 0
        || PyModule_AddType(module, state->cursor_type) < 0
        || PyModule_AddType(module, state->call_lock_type) < 0
        || PyModule_AddType(module, state->filter_type) < 0
        || PyModule_AddFunctions(module, module_methods) < 0) {
        return -1;
    }
    return 0;
}

static int
module_traverse(PyObject *module, visitproc visit, void *arg)
{
    module_state *state = state_of_module(module);
#define VISIT(type, name) Py_VISIT(state->name);
    MODULE_STATE_OBJECTS(VISIT)
#undef VISIT
    for (size_t i = 0; i < SESSION_LEVELS; i++) {
        Py_VISIT(state->record_types[i]);
        Py_VISIT(state->field_names[i]);
    }
    return 0;
}

static int
module_clear(PyObject *module)
{
    module_state *state = state_of_module(module);
#define CLEAR(type, name) Py_CLEAR(state->name);
    MODULE_STATE_OBJECTS(CLEAR)
#undef CLEAR
    for (size_t i = 0; i < SESSION_LEVELS; i++) {
        Py_CLEAR(state->record_types[i]);
        Py_CLEAR(state->field_names[i]);
    }
    return 0;
}

static void
module_free(void *module)
{
    module_state *state = state_of_module((PyObject *)module);
    (void)module_clear((PyObject *)module);
    if (state->interpreter != NULL) {
        interpreter_life_drop(state->interpreter);
    }
}

static PyModuleDef_Slot module_slots[] = MODULE_SLOTS(module_exec);

static struct PyModuleDef module_definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "netsession._netsession",
    .m_doc = "The native core of netsession. Private: use the package's own names.",
    .m_size = sizeof(module_state),
    .m_slots = module_slots,
    .m_traverse = module_traverse,
    .m_clear = module_clear,
    .m_free = module_free,
};

PyMODINIT_FUNC
PyInit__netsession(void)
{
    return PyModuleDef_Init(&module_definition);
}
