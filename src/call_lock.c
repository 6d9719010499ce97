/* CallLock: a lock that is held while a callable runs, and cannot stay held.

   Python code cannot promise that: between taking a lock and the `try` or `with` that gives it
   back, and again at the end, an exception may come from anywhere (KeyboardInterrupt, a trace
   function, PyThreadState_SetAsyncExc()), and the lock stays taken for ever. Here nothing of
   Python runs between. */

#define PY_SSIZE_T_CLEAN
#include "call_lock.h"

#include <pythread.h>
#include <stdbool.h>
#ifdef HAVE_FORK
#include <unistd.h>
#endif

/* Where somebody else holds the lock, how long to wait before `remaining` is asked again, in
   seconds: a call that has been called off notices so late at most. */
#define LONGEST_WAIT 0.25

typedef struct {
    PyObject_HEAD
    PyThread_type_lock lock; /* owned */
    uint64_t owner;          /* this_thread() of who holds it, or 0; under a critical section */
    long process;            /* in which it was made, or used last; likewise */
} CallLock;

/* Which thread this is. Not PyThread_get_thread_ident(), which a new thread may have from one that
   is no more: in a forked process mostly from one that held the lock and stayed behind. */
static uint64_t
this_thread(void)
{
    return PyThreadState_GetID(PyThreadState_Get());
}

static long
this_process(void)
{
#ifdef HAVE_FORK
    return (long)getpid();
#else
    return 0;
#endif
}

/* In a process that was forked off nobody holds it but the thread that forked: all others have
   stayed behind, and would be waited for until the end. -1 with an exception set. */
static int
take_over(CallLock *self)
{
    int result = 0;
    Py_BEGIN_CRITICAL_SECTION(self);
    if (self->process != this_process()) {
        if (self->owner != this_thread()) {
            /* Whose state nobody knows is left alone, as CPython leaves its own locks then. */
            PyThread_type_lock lock = PyThread_allocate_lock();
            if (lock == NULL) {
                result = -1;
            }
            else {
                self->lock = lock;
                self->owner = 0;
            }
        }
        if (result == 0) {
            self->process = this_process();
        }
    }
    Py_END_CRITICAL_SECTION();
    if (result < 0) {
        (void)PyErr_NoMemory();
    }
    return result;
}

/* A thread that finds itself here holds the lock: it alone writes its own identity. */
static bool
is_ours(CallLock *self)
{
    bool ours;
    Py_BEGIN_CRITICAL_SECTION(self);
    ours = self->owner == this_thread();
    Py_END_CRITICAL_SECTION();
    return ours;
}

static PyObject *
call_lock_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    if (PyTuple_GET_SIZE(args) != 0 || (kwargs != NULL && PyDict_GET_SIZE(kwargs) != 0)) {
        PyErr_SetString(PyExc_TypeError, "CallLock takes no arguments");
        return NULL;
    }
    CallLock *self = (CallLock *)type->tp_alloc(type, 0); /* all zero */
    if (self == NULL) {
        return NULL;
    }
    self->lock = PyThread_allocate_lock();
    if (self->lock == NULL) {
        Py_DECREF(self);
        return PyErr_NoMemory();
    }
    self->process = this_process();
    return (PyObject *)self;
}

static void
call_lock_dealloc(CallLock *self)
{
    PyTypeObject *type = Py_TYPE(self);
    if (self->lock != NULL) {
        /* It is held here only in a process that was forked while another thread held it. */
        if (self->owner != 0) {
            PyThread_release_lock(self->lock);
        }
        PyThread_free_lock(self->lock);
    }
    type->tp_free(self);
    Py_DECREF(type);
}

/* For how long to wait now, in microseconds, by what `remaining()` says; -1 with an exception set
   where it raises. */
static PY_TIMEOUT_T
next_wait(PyObject *remaining)
{
    PyObject *answer = PyObject_CallNoArgs(remaining);
    if (answer == NULL) {
        return -1;
    }
    double seconds = PyFloat_AsDouble(answer);
    Py_DECREF(answer);
    if (seconds == -1.0 && PyErr_Occurred()) {
        return -1;
    }
    if (!(seconds < LONGEST_WAIT)) {
        seconds = LONGEST_WAIT;
    }
    return seconds > 1e-6 ? (PY_TIMEOUT_T)(seconds * 1e6) : 1;
}

/* 0 with the lock taken, or -1 with an exception set. */
static int
wait_for_turn(CallLock *self, PyObject *remaining)
{
    if (take_over(self) < 0) {
        return -1;
    }
    PyLockStatus status = PyThread_acquire_lock_timed(self->lock, 0, 0);
    while (status != PY_LOCK_ACQUIRED) {
        if (is_ours(self)) {
            PyErr_SetString(PyExc_RuntimeError,
                            "this thread is in a call of this Server already (from a signal "
                            "handler, a finalizer or a trace function?)");
            return -1;
        }
        PY_TIMEOUT_T microseconds = next_wait(remaining);
        if (microseconds < 0 || take_over(self) < 0) { /* what was asked may have forked */
            return -1;
        }
        Py_BEGIN_ALLOW_THREADS
        status = PyThread_acquire_lock_timed(self->lock, microseconds, 1);
        Py_END_ALLOW_THREADS
        if (status == PY_LOCK_INTR && PyErr_CheckSignals() < 0) {
            return -1;
        }
    }
    return 0;
}

/* Calls and gives the lock back, which this thread has just taken. Where the call forked, another
   thread of the new process may have put a lock of its own in its place: that one is not ours. */
static PyObject *
call_and_release(CallLock *self, PyObject *call)
{
    PyThread_type_lock taken;
    Py_BEGIN_CRITICAL_SECTION(self);
    taken = self->lock;
    self->owner = this_thread();
    Py_END_CRITICAL_SECTION();
    PyObject *result = PyObject_CallNoArgs(call);
    Py_BEGIN_CRITICAL_SECTION(self);
    if (self->lock == taken) {
        self->owner = 0;
        PyThread_release_lock(taken);
    }
    Py_END_CRITICAL_SECTION();
    return result;
}

PyDoc_STRVAR(call_lock_run_doc,
"run($self, call, remaining, /)\n--\n\n"
"What call() returns or raises, with the lock held meanwhile.\n\n"
"While somebody else holds it remaining() is asked, again and again, how many seconds (float)\n"
"to wait yet; what it raises ends the wait. RuntimeError where this very thread holds it.");

static PyObject *
call_lock_run(CallLock *self, PyObject *args)
{
    PyObject *call, *remaining;
    if (!PyArg_ParseTuple(args, "OO:run", &call, &remaining)
        || wait_for_turn(self, remaining) < 0) {
        return NULL;
    }
    return call_and_release(self, call);
}

PyDoc_STRVAR(call_lock_try_run_doc,
"try_run($self, call, /)\n--\n\n"
"Calls call() with the lock held, if nobody holds it. Returns whether it did (bool).");

static PyObject *
call_lock_try_run(CallLock *self, PyObject *call)
{
    if (take_over(self) < 0) {
        return NULL;
    }
    if (PyThread_acquire_lock_timed(self->lock, 0, 0) != PY_LOCK_ACQUIRED) {
        Py_RETURN_FALSE;
    }
    PyObject *result = call_and_release(self, call);
    if (result == NULL) {
        return NULL;
    }
    Py_DECREF(result);
    Py_RETURN_TRUE;
}

PyDoc_STRVAR(call_lock_doc,
"CallLock()\n--\n\n"
"One call at a time: a lock that no exception, wherever it comes from, leaves held.");

static PyMethodDef call_lock_methods[] = {
    {"run", (PyCFunction)call_lock_run, METH_VARARGS, call_lock_run_doc},
    {"try_run", (PyCFunction)call_lock_try_run, METH_O, call_lock_try_run_doc},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot call_lock_slots[] = {
    {Py_tp_doc, (void *)call_lock_doc},
    {Py_tp_new, call_lock_new},
    {Py_tp_dealloc, call_lock_dealloc},
    {Py_tp_methods, call_lock_methods},
    {0, NULL},
};

/* Holds no Python object, so the collector has nothing to visit. */
PyType_Spec call_lock_spec = {
    .name = "netsession._netsession.CallLock",
    .basicsize = sizeof(CallLock),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = call_lock_slots,
};
