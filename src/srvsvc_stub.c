#define PY_SSIZE_T_CLEAN
#include "srvsvc_stub.h"

/* Strings are read where they lie in the bytes, so their units must be aligned. */
_Static_assert(offsetof(PyBytesObject, ob_sval) % sizeof(utf16_unit) == 0,
               "the content of bytes is aligned for UTF-16");

PyObject *
stub_encode_enum(const srvsvc_enum_request *request)
{
    size_t size = srvsvc_encode_enum(request, NULL);
    PyObject *stub = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)size);
    if (stub != NULL) {
        (void)srvsvc_encode_enum(request, (unsigned char *)PyBytes_AS_STRING(stub));
    }
    return stub;
}

PyObject *
stub_encode_del(const utf16_unit *server, const utf16_unit *client, const utf16_unit *user)
{
    size_t size = srvsvc_encode_del(server, client, user, NULL);
    PyObject *stub = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)size);
    if (stub != NULL) {
        (void)srvsvc_encode_del(server, client, user, (unsigned char *)PyBytes_AS_STRING(stub));
    }
    return stub;
}

PyObject *
stub_from_object(PyObject *value)
{
    if (PyBytes_CheckExact(value)) {
        return Py_NewRef(value);
    }
    if (!PyObject_CheckBuffer(value)) {
        PyErr_Format(PyExc_TypeError, "stub must be bytes, not %.200s", Py_TYPE(value)->tp_name);
        return NULL;
    }
    return PyBytes_FromObject(value);
}

int
stub_decode_enum(const module_state *state, PyObject *stub, session_enum_reply *reply,
                 PyObject *server)
{
    srvsvc_error error = {.problem = NULL};
    const unsigned char *data = (const unsigned char *)PyBytes_AS_STRING(stub);
    size_t size = (size_t)PyBytes_GET_SIZE(stub);
    int result;
    Py_BEGIN_ALLOW_THREADS /* bytes do not change, and the caller holds a reference */
    result = srvsvc_decode_enum(data, size, reply, &error);
    Py_END_ALLOW_THREADS
    if (result < 0) {
        (void)raise_malformed(state, &error, "NetSessionEnum", server, "call");
    }
    return result;
}

int
stub_decode_del(const module_state *state, PyObject *stub, uint32_t *status, PyObject *server)
{
    srvsvc_error error = {.problem = NULL};
    int result = srvsvc_decode_del((const unsigned char *)PyBytes_AS_STRING(stub),
                                   (size_t)PyBytes_GET_SIZE(stub), status, &error);
    if (result < 0) {
        (void)raise_malformed(state, &error, "NetSessionDel", server, "call");
    }
    return result;
}
