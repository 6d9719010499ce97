#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "session_info.h"

static PyObject *
field_value(const session_field *field, const unsigned char *entry, string_cache *cache)
{
    if (field->kind == FIELD_DWORD) {
        return PyLong_FromUnsignedLong(session_info_dword(entry, field));
    }
    const utf16_unit *units = session_info_string(entry, field);
    return units == NULL ? Py_NewRef(Py_None) : string_cache_get(cache, field->id, units);
}

PyObject *
session_info_record(const session_level *level, PyTypeObject *type, const unsigned char *entry,
                    string_cache *cache)
{
    PyObject *record = type->tp_alloc(type, level->field_count);
    if (record == NULL) {
        return NULL;
    }
    /* Only str, int and None go in: no record is ever part of a cycle, so the collector need not
       visit a hundred thousand of them. */
    PyObject_GC_UnTrack(record);
#if PY_VERSION_HEX >= 0x030E0000
    /* tp_alloc leaves 0, which a tuple since 3.14 takes for a hash already known. */
    ((PyTupleObject *)record)->ob_hash = -1;
#endif
    for (int i = 0; i < level->field_count; i++) {
        PyObject *value = field_value(&level->fields[i], entry, cache);
        if (value == NULL) {
            Py_DECREF(record);
            return NULL;
        }
        PyTuple_SET_ITEM(record, i, value); /* the record owns the value from here on */
    }
    return record;
}

PyObject *
session_info_dict(const session_level *level, PyObject *names, const unsigned char *entry,
                  string_cache *cache)
{
    PyObject *dict = PyDict_New();
    if (dict == NULL) {
        return NULL;
    }
    for (int i = 0; i < level->field_count; i++) {
        PyObject *value = field_value(&level->fields[i], entry, cache);
        int failed = value == NULL || PyDict_SetItem(dict, PyTuple_GET_ITEM(names, i), value) < 0;
        Py_XDECREF(value);
        if (failed) {
            Py_DECREF(dict);
            return NULL;
        }
    }
    return dict;
}
