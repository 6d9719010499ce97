/* Exceptions: netsession.errors decides which, this only calls it. */

#define PY_SSIZE_T_CLEAN
#include "module.h"

/* Raises what a call returned; takes over the reference, which may be NULL. */
static PyObject *
raise_made(PyObject *exception)
{
    if (exception != NULL) {
        PyErr_SetObject((PyObject *)Py_TYPE(exception), exception);
        Py_DECREF(exception);
    }
    return NULL;
}

PyObject *
raise_status(const module_state *state, uint32_t status, const char *function, PyObject *server,
             const char *step)
{
    PyObject *exception = NULL;
    PyObject *arguments = Py_BuildValue("(ksO)", (unsigned long)status, function, server);
    PyObject *keywords = Py_BuildValue("{s:z}", "step", step);
    if (arguments != NULL && keywords != NULL) {
        exception = PyObject_Call(state->error_from_status, arguments, keywords);
    }
    Py_XDECREF(arguments);
    Py_XDECREF(keywords);
    return raise_made(exception);
}

/* Calls what makes an exception with positional `arguments` (taken over) and keyword function=,
   server=, step= and, where there is one, detail=. */
static PyObject *
raise_with_keywords(PyObject *type, PyObject *arguments, const char *function, PyObject *server,
                    const char *step, const char *detail)
{
    PyObject *exception = NULL;
    PyObject *keywords =
        Py_BuildValue("{s:s,s:O,s:z}", "function", function, "server", server, "step", step);
    if (arguments == NULL || keywords == NULL) {
        goto done;
    }
    if (detail != NULL) {
        PyObject *text = PyUnicode_FromString(detail);
        int failed = text == NULL || PyDict_SetItemString(keywords, "detail", text) < 0;
        Py_XDECREF(text);
        if (failed) {
            goto done;
        }
    }
    exception = PyObject_Call(type, arguments, keywords);
done:
    Py_XDECREF(arguments);
    Py_XDECREF(keywords);
    return raise_made(exception);
}

PyObject *
raise_refused(const module_state *state, uint32_t status, const char *function, PyObject *server,
              const char *detail)
{
    return raise_with_keywords(state->error_from_status,
                               Py_BuildValue("(k)", (unsigned long)status), function, server, NULL,
                               detail);
}

PyObject *
raise_no_progress(const module_state *state, const char *function, PyObject *server,
                  const char *step, const char *detail)
{
    return raise_with_keywords(state->no_progress, PyTuple_New(0), function, server, step, detail);
}

PyObject *
raise_malformed(const module_state *state, const srvsvc_error *error, const char *function,
                PyObject *server, const char *step)
{
    if (error->problem == NULL) {
        return PyErr_NoMemory();
    }
    PyObject *what = PyUnicode_FromFormat("%s: %s", error->field, error->problem);
    if (what == NULL) {
        return NULL;
    }
    return raise_with_keywords(state->malformed_reply,
                               Py_BuildValue("Nn", what, (Py_ssize_t)error->offset), function,
                               server, step, NULL);
}
