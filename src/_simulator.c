/* The module netsession._simulator: a simulated server for tests and --demo. It is no server.
   netsession/testing.py is its public face. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "arguments.h"
#include "module_slots.h"
#include "simulator.h"
#include "unpicklable.h"

typedef struct {
    PyObject_HEAD
    simulator *sim; /* owned */
    netapi api;     /* its context is sim */
} Simulator;

static const char *const function_names[SIMULATOR_FUNCTIONS] = {
    "NetSessionEnum",
    "NetSessionGetInfo",
    "NetSessionDel",
};

static int
argument_function(const char *name, simulator_function *function)
{
    for (int i = 0; i < SIMULATOR_FUNCTIONS; i++) {
        if (strcmp(name, function_names[i]) == 0) {
            *function = (simulator_function)i;
            return 0;
        }
    }
    PyErr_Format(PyExc_ValueError,
                 "function must be NetSessionEnum, NetSessionGetInfo or NetSessionDel, not %.200s",
                 name);
    return -1;
}

/* --- life --------------------------------------------------------------------------------- */

PyDoc_STRVAR(simulator_doc,
"Simulator(made_up=0, page_entries=0, first=0)\n--\n\n"
"A simulated server with so many sessions made up, those of the numbers from first on; a reply\n"
"holds at most page_entries entries, 0 for no limit of its own.");

static PyObject *
simulator_type_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *keywords[] = {"made_up", "page_entries", "first", NULL};
    PyObject *made_up = NULL, *page_entries = NULL, *first = NULL;
    uint32_t made_up_count = 0, page_entries_count = 0, first_number = 0;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|OOO:Simulator", keywords, &made_up,
                                     &page_entries, &first)
        || (made_up != NULL && argument_dword(made_up, "made_up", &made_up_count) < 0)
        || (page_entries != NULL
            && argument_dword(page_entries, "page_entries", &page_entries_count) < 0)
        || (first != NULL && argument_dword(first, "first", &first_number) < 0)) {
        return NULL;
    }
    simulator *sim = simulator_new(first_number, made_up_count, page_entries_count);
    if (sim == NULL) {
        return PyErr_NoMemory();
    }
    Simulator *self = (Simulator *)type->tp_alloc(type, 0);
    if (self == NULL) {
        simulator_free(sim);
        return NULL;
    }
    self->sim = sim;
    self->api = simulator_netapi(sim);
    return (PyObject *)self;
}

static void
simulator_dealloc(Simulator *self)
{
    PyTypeObject *type = Py_TYPE(self);
    simulator_free(self->sim);
    type->tp_free(self);
    Py_DECREF(type);
}

/* The capsule keeps the simulator whose table it carries. */
static void
capsule_free(PyObject *capsule)
{
    Py_XDECREF((PyObject *)PyCapsule_GetContext(capsule));
}

static PyObject *
simulator_get_netapi(Simulator *self, void *closure)
{
    (void)closure;
    PyObject *capsule = PyCapsule_New(&self->api, NETAPI_CAPSULE, capsule_free);
    if (capsule == NULL) {
        return NULL;
    }
    if (PyCapsule_SetContext(capsule, self) < 0) {
        Py_DECREF(capsule);
        return NULL;
    }
    Py_INCREF(self); /* the capsule's */
    return capsule;
}

/* --- sessions ----------------------------------------------------------------------------- */

PyDoc_STRVAR(simulator_add_doc,
"add($self, client_name, user_name, num_opens, active_time, idle_time, user_flags, client_type,\n"
"    transport, /)\n--\n\n"
"Adds a session: the fields of SESSION_INFO_502, strings as str or None, the others DWORDs.");

static PyObject *
simulator_add_session(Simulator *self, PyObject *args)
{
    PyObject *values[SESSION_FIELDS];
    PyObject *units[SESSION_FIELDS] = {NULL};
    PyObject *result = NULL;
    simulator_row row = {.dwords = {0}};
    const session_level *level = session_level_find(502);
    if (!PyArg_ParseTuple(args, "OOOOOOOO:add", &values[0], &values[1], &values[2], &values[3],
                          &values[4], &values[5], &values[6], &values[7])) {
        return NULL;
    }
    for (int i = 0; i < level->field_count; i++) {
        const session_field *field = &level->fields[i];
        if (field->kind == FIELD_DWORD) {
            if (argument_dword(values[i], field->name, &row.dwords[field->id]) < 0) {
                goto done;
            }
            continue;
        }
        if (argument_name(values[i], field->name, &units[i]) < 0) {
            goto done;
        }
        row.strings[field->id] = name_units(units[i]);
    }
    if (simulator_add(self->sim, &row)) {
        result = Py_NewRef(Py_None);
    }
    else {
        (void)PyErr_NoMemory();
    }
done:
    for (int i = 0; i < SESSION_FIELDS; i++) {
        Py_XDECREF(units[i]);
    }
    return result;
}

static int
argument_which(const char *name, simulator_which *which)
{
    if (name == NULL) {
        *which = SIMULATOR_EVERY;
        return 0;
    }
    bool first = strcmp(name, "first") == 0;
    if (!first && strcmp(name, "last") != 0) {
        PyErr_Format(PyExc_ValueError, "only must be 'first', 'last' or None, not %.200s", name);
        return -1;
    }
    *which = first ? SIMULATOR_FIRST : SIMULATOR_LAST;
    return 0;
}

/* What both functions return: how many sessions were found (int). */
static PyObject *
found_of(bool done, uint32_t found)
{
    return done ? PyLong_FromUnsignedLong(found) : PyErr_NoMemory();
}

PyDoc_STRVAR(simulator_end_doc,
"end($self, client, user, only=None, /)\n--\n\n"
"Ends the sessions of exactly this user from this client, the 'first' or the 'last' of them\n"
"where only says so; how many there were (int).");

static PyObject *
simulator_end_sessions(Simulator *self, PyObject *args)
{
    PyObject *client, *user, *client_units = NULL, *user_units = NULL, *result = NULL;
    const char *only = NULL;
    simulator_which which = SIMULATOR_EVERY;
    uint32_t found = 0;
    if (!PyArg_ParseTuple(args, "OO|z:end", &client, &user, &only)
        || argument_which(only, &which) < 0) {
        return NULL;
    }
    if (argument_name(client, "client", &client_units) == 0
        && argument_name(user, "user", &user_units) == 0) {
        bool done = simulator_end(self->sim, name_units(client_units), name_units(user_units),
                                  which, &found);
        result = found_of(done, found);
    }
    Py_XDECREF(client_units);
    Py_XDECREF(user_units);
    return result;
}

/* `value` as the new value of a DWORD field; None leaves it. */
static int
argument_change(PyObject *value, const char *argument, field_id field, simulator_change *change)
{
    change->given[field] = value != Py_None;
    return value == Py_None ? 0 : argument_dword(value, argument, &change->dwords[field]);
}

PyDoc_STRVAR(simulator_change_doc,
"change($self, client, user, num_opens, active_time, idle_time, user_flags, only=None, /)\n--\n\n"
"Gives the sessions that end() would end new values, None for no new one; how many (int).\n"
"Without an idle time they were used just now.");

static PyObject *
simulator_change_fields(Simulator *self, PyObject *args)
{
    PyObject *client, *user, *num_opens, *active_time, *idle_time, *user_flags;
    PyObject *client_units = NULL, *user_units = NULL, *result = NULL;
    const char *only = NULL;
    simulator_which which = SIMULATOR_EVERY;
    simulator_change change = {.given = {false}};
    uint32_t found = 0;
    if (!PyArg_ParseTuple(args, "OOOOOO|z:change", &client, &user, &num_opens, &active_time,
                          &idle_time, &user_flags, &only)
        || argument_which(only, &which) < 0
        || argument_change(num_opens, "num_opens", FIELD_NUM_OPENS, &change) < 0
        || argument_change(active_time, "active_time", FIELD_ACTIVE_TIME, &change) < 0
        || argument_change(idle_time, "idle_time", FIELD_IDLE_TIME, &change) < 0
        || argument_change(user_flags, "user_flags", FIELD_USER_FLAGS, &change) < 0) {
        return NULL;
    }
    if (argument_name(client, "client", &client_units) == 0
        && argument_name(user, "user", &user_units) == 0) {
        bool done = simulator_change_sessions(self->sim, name_units(client_units),
                                              name_units(user_units), which, &change, &found);
        result = found_of(done, found);
    }
    Py_XDECREF(client_units);
    Py_XDECREF(user_units);
    return result;
}

PyDoc_STRVAR(simulator_advance_doc,
"advance($self, milliseconds, /)\n--\n\n"
"Moves the clock by which active_time and idle_time grow.");

static PyObject *
simulator_advance_clock(Simulator *self, PyObject *milliseconds)
{
    unsigned long long value = PyLong_AsUnsignedLongLong(milliseconds);
    if (value == (unsigned long long)-1 && PyErr_Occurred()) {
        return NULL;
    }
    simulator_advance(self->sim, value);
    Py_RETURN_NONE;
}

/* --- behaviour ------------------------------------------------------------------------------ */

PyDoc_STRVAR(simulator_refuse_doc,
"refuse($self, level, status, /)\n--\n\n"
"Answers that level with this status; 0 serves it again.");

static PyObject *
simulator_refuse(Simulator *self, PyObject *args)
{
    PyObject *number, *status;
    const session_level *level = NULL;
    uint32_t value = 0;
    if (!PyArg_ParseTuple(args, "OO:refuse", &number, &status)
        || argument_level(number, &level) < 0 || argument_dword(status, "status", &value) < 0) {
        return NULL;
    }
    simulator_refuse_level(self->sim, level, value);
    Py_RETURN_NONE;
}

PyDoc_STRVAR(simulator_fail_doc,
"fail($self, function, status, after=0, times=None)\n--\n\n"
"After so many more calls of the function, answers so many of them (None: all) with this status.");

static PyObject *
simulator_fail_calls(Simulator *self, PyObject *args, PyObject *kwargs)
{
    static char *keywords[] = {"function", "status", "after", "times", NULL};
    const char *name = NULL;
    PyObject *status = NULL, *after = NULL, *times = Py_None;
    simulator_function function = SIMULATOR_ENUM;
    uint32_t status_value = 0, after_value = 0, times_value = UINT32_MAX;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "sO|OO:fail", keywords, &name, &status, &after,
                                     &times)
        || argument_function(name, &function) < 0
        || argument_dword(status, "status", &status_value) < 0
        || (after != NULL && argument_dword(after, "after", &after_value) < 0)
        || (times != Py_None && argument_dword(times, "times", &times_value) < 0)) {
        return NULL;
    }
    simulator_fail(self->sim, function, status_value, after_value, times_value);
    Py_RETURN_NONE;
}

PyDoc_STRVAR(simulator_delay_doc,
"delay($self, milliseconds, /)\n--\n\n"
"Waits so long before every answer.");

static PyObject *
simulator_delay_calls(Simulator *self, PyObject *milliseconds)
{
    uint32_t value = 0;
    if (argument_dword(milliseconds, "milliseconds", &value) < 0) {
        return NULL;
    }
    simulator_delay(self->sim, value);
    Py_RETURN_NONE;
}

PyDoc_STRVAR(simulator_hang_doc,
"hang($self, milliseconds, /)\n--\n\n"
"Answers every call with ERROR_BAD_NETPATH only after so long (None: never).");

static PyObject *
simulator_hang_calls(Simulator *self, PyObject *milliseconds)
{
    uint32_t value = UINT32_MAX;
    if (milliseconds != Py_None && argument_dword(milliseconds, "milliseconds", &value) < 0) {
        return NULL;
    }
    simulator_hang(self->sim, value);
    Py_RETURN_NONE;
}

PyDoc_STRVAR(simulator_release_doc,
"release($self, /)\n--\n\n"
"Answers again; the calls that hang get ERROR_BAD_NETPATH now.");

static PyObject *
simulator_release_calls(Simulator *self, PyObject *ignored)
{
    (void)ignored;
    simulator_release(self->sim);
    Py_RETURN_NONE;
}

PyDoc_STRVAR(simulator_prepare_doc,
"prepare($self, on, /)\n--\n\n"
"Hands out one prepared buffer again and again for the same question.");

static PyObject *
simulator_prepare_buffers(Simulator *self, PyObject *on)
{
    int truth = PyObject_IsTrue(on);
    if (truth < 0) {
        return NULL;
    }
    simulator_prepare(self->sim, truth != 0);
    Py_RETURN_NONE;
}

PyDoc_STRVAR(simulator_stick_doc,
"stick($self, on, moving=False)\n--\n\n"
"Says ERROR_MORE_DATA for ever without an entry; with moving the resume handle moves.");

static PyObject *
simulator_stick_calls(Simulator *self, PyObject *args, PyObject *kwargs)
{
    static char *keywords[] = {"on", "moving", NULL};
    int on = 0, moving = 0;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "p|p:stick", keywords, &on, &moving)) {
        return NULL;
    }
    simulator_stick(self->sim, on != 0, moving != 0);
    Py_RETURN_NONE;
}

PyDoc_STRVAR(simulator_calls_doc,
"calls($self, function, /)\n--\n\n"
"How often the function was called (int).");

static PyObject *
simulator_count_calls(Simulator *self, PyObject *name)
{
    simulator_function function = SIMULATOR_ENUM;
    const char *text = PyUnicode_AsUTF8(name);
    if (text == NULL || argument_function(text, &function) < 0) {
        return NULL;
    }
    return PyLong_FromSize_t(simulator_calls(self->sim, function));
}

static PyObject *
simulator_get_count(Simulator *self, void *closure)
{
    (void)closure;
    return PyLong_FromUnsignedLong(simulator_count(self->sim));
}

static PyObject *
simulator_get_clock(Simulator *self, void *closure)
{
    (void)closure;
    return PyLong_FromUnsignedLongLong(simulator_clock(self->sim));
}

static PyObject *
simulator_get_outstanding(Simulator *self, void *closure)
{
    (void)closure;
    return PyLong_FromSize_t(simulator_outstanding(self->sim));
}

static PyObject *
simulator_get_bad_frees(Simulator *self, void *closure)
{
    (void)closure;
    return PyLong_FromSize_t(simulator_bad_frees(self->sim));
}

/* --- type and module ------------------------------------------------------------------------ */

#define WITH_KEYWORDS(function) \
    (PyCFunction)(void (*)(void)) function, METH_VARARGS | METH_KEYWORDS

static PyMethodDef simulator_methods[] = {
    {"add", (PyCFunction)simulator_add_session, METH_VARARGS, simulator_add_doc},
    {"end", (PyCFunction)simulator_end_sessions, METH_VARARGS, simulator_end_doc},
    {"change", (PyCFunction)simulator_change_fields, METH_VARARGS, simulator_change_doc},
    {"advance", (PyCFunction)simulator_advance_clock, METH_O, simulator_advance_doc},
    {"refuse", (PyCFunction)simulator_refuse, METH_VARARGS, simulator_refuse_doc},
    {"fail", WITH_KEYWORDS(simulator_fail_calls), simulator_fail_doc},
    {"delay", (PyCFunction)simulator_delay_calls, METH_O, simulator_delay_doc},
    {"hang", (PyCFunction)simulator_hang_calls, METH_O, simulator_hang_doc},
    {"release", (PyCFunction)simulator_release_calls, METH_NOARGS, simulator_release_doc},
    {"prepare", (PyCFunction)simulator_prepare_buffers, METH_O, simulator_prepare_doc},
    {"stick", WITH_KEYWORDS(simulator_stick_calls), simulator_stick_doc},
    {"calls", (PyCFunction)simulator_count_calls, METH_O, simulator_calls_doc},
    UNPICKLABLE_METHOD,
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef simulator_getset[] = {
    {"netapi", (getter)simulator_get_netapi, NULL, "The backend for netsession._netsession.",
     NULL},
    {"count", (getter)simulator_get_count, NULL, "The sessions not deleted yet (int).", NULL},
    {"clock", (getter)simulator_get_clock, NULL, "What its clock shows, in milliseconds (int).",
     NULL},
    {"outstanding", (getter)simulator_get_outstanding, NULL,
     "Buffers handed out and not freed yet (int).", NULL},
    {"bad_frees", (getter)simulator_get_bad_frees, NULL,
     "Frees of what was not handed out, or freed before (int).", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot simulator_slots[] = {
    {Py_tp_doc, (void *)simulator_doc}, {Py_tp_new, simulator_type_new},
    {Py_tp_dealloc, simulator_dealloc}, {Py_tp_methods, simulator_methods},
    {Py_tp_getset, simulator_getset},   {0, NULL},
};

/* Holds no Python object, so the collector has nothing to visit. */
static PyType_Spec simulator_spec = {
    .name = "netsession._simulator.Simulator",
    .basicsize = sizeof(Simulator),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = simulator_slots,
};

static int
module_exec(PyObject *module)
{
    PyObject *type = PyType_FromModuleAndSpec(module, &simulator_spec, NULL);
    if (type == NULL) {
        return -1;
    }
    int result = PyModule_AddType(module, (PyTypeObject *)type);
    Py_DECREF(type);
    return result;
}

static PyModuleDef_Slot module_slots[] = MODULE_SLOTS(module_exec);

static struct PyModuleDef module_definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "netsession._simulator",
    .m_doc = "A simulated server. Private: netsession.testing is its public face.",
    .m_size = 0,
    .m_slots = module_slots,
};

PyMODINIT_FUNC
PyInit__simulator(void)
{
    return PyModuleDef_Init(&module_definition);
}
