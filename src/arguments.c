#define PY_SSIZE_T_CLEAN
#include "arguments.h"

int
argument_name(PyObject *value, const char *argument, PyObject **units)
{
    *units = NULL;
    if (value == Py_None) {
        return 0;
    }
    if (!PyUnicode_Check(value)) {
        PyErr_Format(PyExc_TypeError, "%s must be a str or None, not %.200s", argument,
                     Py_TYPE(value)->tp_name);
        return -1;
    }
    *units = utf16_from_str(value, argument);
    return *units == NULL ? -1 : 0;
}

/* `*fits` is false where there is an int, but none of 64 bits; -1 with an exception set where there
   is none. */
static int
argument_integer(PyObject *value, const char *argument, long long *wide, bool *fits)
{
    if (!PyIndex_Check(value)) {
        PyErr_Format(PyExc_TypeError, "%s must be an int, not %.200s", argument,
                     Py_TYPE(value)->tp_name);
        return -1;
    }
    PyObject *number = PyNumber_Index(value);
    if (number == NULL) {
        return -1;
    }
    int overflow = 0;
    *wide = PyLong_AsLongLongAndOverflow(number, &overflow);
    *fits = overflow == 0;
    Py_DECREF(number);
    return *wide == -1 && *fits && PyErr_Occurred() ? -1 : 0;
}

int
argument_dword(PyObject *value, const char *argument, uint32_t *dword)
{
    long long wide = 0;
    bool fits = false;
    if (argument_integer(value, argument, &wide, &fits) < 0) {
        return -1;
    }
    if (!fits || wide < 0 || wide > UINT32_MAX) {
        PyErr_Format(PyExc_ValueError, "%s must be between 0 and 4294967295", argument);
        return -1;
    }
    *dword = (uint32_t)wide;
    return 0;
}

int
argument_int64(PyObject *value, const char *argument, int64_t *number)
{
    long long wide = 0;
    bool fits = false;
    if (argument_integer(value, argument, &wide, &fits) < 0) {
        return -1;
    }
    if (!fits) {
        PyErr_Format(PyExc_ValueError, "%s must be between -2**63 and 2**63 - 1", argument);
        return -1;
    }
    *number = (int64_t)wide;
    return 0;
}

int
argument_level(PyObject *value, const session_level **level)
{
    uint32_t number = 0;
    if (argument_dword(value, "level", &number) < 0) {
        return -1;
    }
    *level = session_level_find(number);
    if (*level == NULL) {
        PyErr_Format(PyExc_ValueError, "level must be 0, 1, 2, 10 or 502, not %lu",
                     (unsigned long)number);
        return -1;
    }
    return 0;
}

int
argument_backend(PyObject *value, const netapi **api)
{
    *api = NULL;
    if (PyCapsule_CheckExact(value)) {
        *api = PyCapsule_GetPointer(value, NETAPI_CAPSULE);
        return *api == NULL ? -1 : 0;
    }
    if (value == Py_None) {
        *api = netapi_windows();
        if (*api == NULL) {
#ifdef _WIN32
            (void)PyErr_SetFromWindowsErrWithFilename(0, "netapi32.dll");
#else
            PyErr_SetString(PyExc_ValueError,
                            "backend is None (netapi32.dll), which only Windows has");
#endif
            return -1;
        }
        return 0;
    }
    if (!PyCallable_Check(value)) {
        PyErr_Format(PyExc_TypeError, "backend must be None, a capsule or a callable, not %.200s",
                     Py_TYPE(value)->tp_name);
        return -1;
    }
    return 0;
}
