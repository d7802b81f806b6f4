#pragma once
#include <map>
#include <string>

#include "tests/softgpu/machine.h"
#include "tests/softgpu/module.h"

namespace softgpu {

// One entry of the file and the functions that it calls, decoded. Throws LoadError for what the machine cannot execute.
Kernel decode_kernel(const ptx::File&, const ptx::Function& entry,
                     const std::map<std::string, GlobalVariable, std::less<>>& globals, const std::string& module);

// Instructions that the decoder makes itself (functions.cpp): i.table holds triples (from, to, bytes) of local memory,
// or the offsets of a built-in function's parameters.
void copy_locals(Warp&, const Instruction&, u32 mask);
// nullptr if there is no such function.
Execute built_in(const std::string& name);

}  // namespace softgpu
