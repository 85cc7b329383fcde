// Registers the kernels of a source with the driver: the build includes the source first, then this file, then lists its kernels.
#pragma once
#include "standin.h"
#include <utility>

extern "C" void standin_register(Source *source);

template <class Function> struct Signature;
template <class... A> struct Signature<void(A...)> {
    template <size_t... I> static void call(void (*function)(A...), void **parameters, std::index_sequence<I...>) {
        function(*(std::remove_cv_t<A> *)parameters[I]...);
    }
    static void call(void (*function)(A...), void **parameters) { call(function, parameters, std::index_sequence_for<A...>()); }
    static constexpr int count = sizeof...(A);
    static constexpr uint64_t writes() {
        uint64_t found = 0;
        int at = 0;
        ((found |= (uint64_t)(std::is_pointer<A>::value && !std::is_const<std::remove_pointer_t<A>>::value) << at++), ...);
        return found;
    }
};

#define KERNEL(NAME)                                                                                                             \
    {#NAME, [](void **parameters) { Signature<decltype(NAME)>::call(NAME, parameters); }, Signature<decltype(NAME)>::writes(),   \
     Signature<decltype(NAME)>::count, &this_source, 0},
