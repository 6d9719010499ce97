/* The barest loop from SESSION_INFO_x to Python objects: a model of the floor, for measurements.

   It makes the same objects as netsession does (records of the same NamedTuple classes, str, int)
   and leaves out all that is not making them: nothing is checked, no string may be NULL or hold a
   surrogate, no failure is handled, and each level's fields are written out. It is no part of the
   package: never use it for anything but comparing. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "netapi.h"
#include "session_level.h"

static inline PyObject *
text(const utf16_unit *units)
{
    Py_ssize_t length = 0;
    Py_UCS4 seen = 0;
    for (; units[length] != 0; length++) {
        seen |= units[length];
    }
    PyObject *made = PyUnicode_New(length, seen < 0x80 ? 0x7F : seen < 0x100 ? 0xFF : 0xFFFF);
    if (seen < 0x100) {
        for (Py_ssize_t i = 0; i < length; i++) {
            PyUnicode_1BYTE_DATA(made)[i] = (Py_UCS1)units[i];
        }
    }
    else {
        memcpy(PyUnicode_2BYTE_DATA(made), units, (size_t)length * sizeof(utf16_unit));
    }
    return made;
}

/* Not tp_alloc, which also clears the memory and tells the garbage collector. */
static inline PyObject *
record(PyTypeObject *type, Py_ssize_t fields)
{
    PyTupleObject *made = PyObject_GC_NewVar(PyTupleObject, type, fields);
#if PY_VERSION_HEX >= 0x030E0000
    made->ob_hash = -1;
#endif
    return (PyObject *)made;
}

#define SET_TEXT(index, member) PyTuple_SET_ITEM(made, index, text(info->member))
#define SET_DWORD(index, member) \
    PyTuple_SET_ITEM(made, index, PyLong_FromUnsignedLong(info->member))

static PyObject *
record_0(PyTypeObject *type, const unsigned char *entries, Py_ssize_t index)
{
    const session_info_0 *info = (const session_info_0 *)(const void *)entries + index;
    PyObject *made = record(type, 1);
    SET_TEXT(0, cname);
    return made;
}

static PyObject *
record_1(PyTypeObject *type, const unsigned char *entries, Py_ssize_t index)
{
    const session_info_1 *info = (const session_info_1 *)(const void *)entries + index;
    PyObject *made = record(type, 6);
    SET_TEXT(0, cname);
    SET_TEXT(1, username);
    SET_DWORD(2, num_opens);
    SET_DWORD(3, time);
    SET_DWORD(4, idle_time);
    SET_DWORD(5, user_flags);
    return made;
}

static PyObject *
record_502(PyTypeObject *type, const unsigned char *entries, Py_ssize_t index)
{
    const session_info_502 *info = (const session_info_502 *)(const void *)entries + index;
    PyObject *made = record(type, 8);
    SET_TEXT(0, cname);
    SET_TEXT(1, username);
    SET_DWORD(2, num_opens);
    SET_DWORD(3, time);
    SET_DWORD(4, idle_time);
    SET_DWORD(5, user_flags);
    SET_TEXT(6, cltype_name);
    SET_TEXT(7, transport);
    return made;
}

/* --- the reply ------------------------------------------------------------------------------ */

typedef struct {
    const netapi *api;
    unsigned char *entries;
    uint32_t count;
} reply;

static reply
ask(PyObject *backend, uint32_t level)
{
    uint32_t total = 0, resume = 0;
    reply got = {.api = netapi_windows()};
    if (backend != Py_None) {
        got.api = PyCapsule_GetPointer(backend, NETAPI_CAPSULE);
    }
    (void)got.api->session_enum(got.api->context, NULL, NULL, NULL, level, &got.entries,
                                MAX_PREFERRED_LENGTH_ALL, &got.count, &total, &resume);
    return got;
}

static void
release(const reply *got)
{
    (void)got->api->buffer_free(got->api->context, got->entries);
}

/* The loops are written out for each level, so that the compiler sees constants and no calls. */
#define FOR_EACH_RECORD(got, level, type, use) \
    switch (level) { \
    case 0: \
        for (Py_ssize_t i = 0; i < (Py_ssize_t)(got).count; i++) { \
            use(record_0((PyTypeObject *)(type), (got).entries, i)); \
        } \
        break; \
    case 1: \
        for (Py_ssize_t i = 0; i < (Py_ssize_t)(got).count; i++) { \
            use(record_1((PyTypeObject *)(type), (got).entries, i)); \
        } \
        break; \
    default: \
        for (Py_ssize_t i = 0; i < (Py_ssize_t)(got).count; i++) { \
            use(record_502((PyTypeObject *)(type), (got).entries, i)); \
        } \
    }

/* --- functions ------------------------------------------------------------------------------ */

PyDoc_STRVAR(enumerate_doc,
"enumerate(backend, level, /)\n--\n\n"
"Asks for all sessions, frees the reply, and returns their number: the server's cost.");

static PyObject *
floor_enumerate(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *backend;
    unsigned int level;
    if (!PyArg_ParseTuple(args, "OI:enumerate", &backend, &level)) {
        return NULL;
    }
    reply got = ask(backend, level);
    release(&got);
    return PyLong_FromUnsignedLong(got.count);
}

PyDoc_STRVAR(records_doc,
"records(backend, level, record_type, /)\n--\n\n"
"A list of all sessions at level 0, 1 or 502.");

#define KEEP(made) PyList_SET_ITEM(list, i, made)

static PyObject *
floor_records(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *backend, *type;
    unsigned int level;
    if (!PyArg_ParseTuple(args, "OIO!:records", &backend, &level, &PyType_Type, &type)) {
        return NULL;
    }
    reply got = ask(backend, level);
    PyObject *list = PyList_New((Py_ssize_t)got.count);
    FOR_EACH_RECORD(got, level, type, KEEP)
    release(&got);
    return list;
}

PyDoc_STRVAR(discard_doc,
"discard(backend, level, record_type, /)\n--\n\n"
"Makes each record and drops it at once; their number.");

static PyObject *
floor_discard(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *backend, *type;
    unsigned int level;
    if (!PyArg_ParseTuple(args, "OIO!:discard", &backend, &level, &PyType_Type, &type)) {
        return NULL;
    }
    reply got = ask(backend, level);
    FOR_EACH_RECORD(got, level, type, Py_DECREF)
    release(&got);
    return PyLong_FromUnsignedLong(got.count);
}

static PyMethodDef floor_methods[] = {
    {"enumerate", floor_enumerate, METH_VARARGS, enumerate_doc},
    {"records", floor_records, METH_VARARGS, records_doc},
    {"discard", floor_discard, METH_VARARGS, discard_doc},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef floor_module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "netsession_floor",
    .m_doc = "The barest loop from SESSION_INFO_x to records. For measurements only.",
    .m_methods = floor_methods,
};

PyMODINIT_FUNC
PyInit_netsession_floor(void)
{
    return PyModule_Create(&floor_module);
}
