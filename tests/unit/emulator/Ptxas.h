// The assembler of the CUDA toolkit as a judge of what is PTX, where it is installed.
#pragma once

#include <string>

namespace attn::emulator::testing {

bool hasPtxas();
/// What ptxas says against `text`; empty when it assembles.
std::string assemble(const std::string &text, const std::string &target = "sm_90");

} // namespace attn::emulator::testing
