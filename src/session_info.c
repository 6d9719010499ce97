#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "session_info.h"

#define CLIENT_NAME(x) \
    { \
        FIELD_CLIENT_NAME, "client_name", FIELD_STRING, offsetof(x, cname) \
    }
#define USER_NAME(x) \
    { \
        FIELD_USER_NAME, "user_name", FIELD_STRING, offsetof(x, username) \
    }
#define NUM_OPENS(x) \
    { \
        FIELD_NUM_OPENS, "num_opens", FIELD_DWORD, offsetof(x, num_opens) \
    }
#define ACTIVE_TIME(x) \
    { \
        FIELD_ACTIVE_TIME, "active_time", FIELD_DWORD, offsetof(x, time) \
    }
#define IDLE_TIME(x) \
    { \
        FIELD_IDLE_TIME, "idle_time", FIELD_DWORD, offsetof(x, idle_time) \
    }
#define USER_FLAGS(x) \
    { \
        FIELD_USER_FLAGS, "user_flags", FIELD_DWORD, offsetof(x, user_flags) \
    }
#define CLIENT_TYPE(x) \
    { \
        FIELD_CLIENT_TYPE, "client_type", FIELD_STRING, offsetof(x, cltype_name) \
    }
#define TRANSPORT(x) \
    { \
        FIELD_TRANSPORT, "transport", FIELD_STRING, offsetof(x, transport) \
    }

#define LEVEL(number, fields, ...) \
    { \
        number, "SessionInfo" #number, sizeof(session_info_##number), 4 * (fields), fields, \
        { \
            __VA_ARGS__ \
        } \
    }

const session_level session_levels[SESSION_LEVELS] = {
    LEVEL(0, 1, CLIENT_NAME(session_info_0)),
    LEVEL(1, 6, CLIENT_NAME(session_info_1), USER_NAME(session_info_1), NUM_OPENS(session_info_1),
          ACTIVE_TIME(session_info_1), IDLE_TIME(session_info_1), USER_FLAGS(session_info_1)),
    LEVEL(2, 7, CLIENT_NAME(session_info_2), USER_NAME(session_info_2), NUM_OPENS(session_info_2),
          ACTIVE_TIME(session_info_2), IDLE_TIME(session_info_2), USER_FLAGS(session_info_2),
          CLIENT_TYPE(session_info_2)),
    LEVEL(10, 4, CLIENT_NAME(session_info_10), USER_NAME(session_info_10),
          ACTIVE_TIME(session_info_10), IDLE_TIME(session_info_10)),
    LEVEL(502, 8, CLIENT_NAME(session_info_502), USER_NAME(session_info_502),
          NUM_OPENS(session_info_502), ACTIVE_TIME(session_info_502), IDLE_TIME(session_info_502),
          USER_FLAGS(session_info_502), CLIENT_TYPE(session_info_502),
          TRANSPORT(session_info_502)),
};

const session_level *
session_level_find(uint32_t number)
{
    for (size_t i = 0; i < SESSION_LEVELS; i++) {
        if (session_levels[i].number == number) {
            return &session_levels[i];
        }
    }
    return NULL;
}

static PyObject *
field_value(const session_field *field, const unsigned char *entry)
{
    if (field->kind == FIELD_DWORD) {
        return PyLong_FromUnsignedLong(session_info_dword(entry, field));
    }
    const utf16_unit *units = session_info_string(entry, field);
    return units == NULL ? Py_NewRef(Py_None) : utf16_to_str(units);
}

PyObject *
session_info_record(const session_level *level, PyTypeObject *type, const unsigned char *entry)
{
    PyObject *record = type->tp_alloc(type, level->field_count);
    if (record == NULL) {
        return NULL;
    }
#if PY_VERSION_HEX >= 0x030E0000
    /* tp_alloc leaves 0, which a tuple since 3.14 takes for a hash already known. */
    ((PyTupleObject *)record)->ob_hash = -1;
#endif
    for (int i = 0; i < level->field_count; i++) {
        PyObject *value = field_value(&level->fields[i], entry);
        if (value == NULL) {
            Py_DECREF(record);
            return NULL;
        }
        PyTuple_SET_ITEM(record, i, value); /* the record owns the value from here on */
    }
    /* Only str, int and None inside: no record is ever part of a cycle, so the collector need
       not visit a hundred thousand of them. */
    PyObject_GC_UnTrack(record);
    return record;
}

PyObject *
session_info_dict(const session_level *level, PyObject *names, const unsigned char *entry)
{
    PyObject *dict = PyDict_New();
    if (dict == NULL) {
        return NULL;
    }
    for (int i = 0; i < level->field_count; i++) {
        PyObject *value = field_value(&level->fields[i], entry);
        int failed = value == NULL || PyDict_SetItem(dict, PyTuple_GET_ITEM(names, i), value) < 0;
        Py_XDECREF(value);
        if (failed) {
            Py_DECREF(dict);
            return NULL;
        }
    }
    return dict;
}
