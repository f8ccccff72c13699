// Kernels broken by hand: what is changed where, and what the sanitizer is to say. Unlike mutants (Mutants.h), which lack a
// piece of synchronisation, these do something else: another address, stage, parity, count, lane, warp, layout or scope.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace attn::mutation {

struct Breakage {
  std::string_view kernel; ///< TARGET.NAME, or how it begins
  std::string_view name;
  std::string_view place; ///< parts of the printed instruction, between `&`
  std::string_view edit;  ///< what stands there instead (see applied)
  std::string_view ids;   ///< findings that count; empty: the results are wrong, and nothing can say so
};

const std::vector<Breakage> &breakages();

/// The lines of `text`, a module as it prints itself, that the breakage is for: instructions of `lines` (or all when it is empty).
std::vector<unsigned> placesOf(const Breakage &breakage, std::string_view text, const std::set<unsigned> &lines);

/// The module with the instruction at `line` replaced by `breakage.edit`, statements between `;`:
///
///   {self}     the instruction      {bare}     without its guard     {guard}  `@%p ` or nothing    {op}  its opcode
///   {1}        an operand           {1+16}     an address and 16     {1.2}    a part of `{…}` or `[map, {…}]`, from 1; the map is 0
///   {1.2=x}    the operand with another part    {1|}   the second of a pair    {1*}   the register of an address
///   {op:a>b}   the opcode with b for a
///
/// At hand: %broken0 to 7, %wide0 to 3 (64 bits), %flag0 to 3; %half (lanes 0 to 15), %first (lane 0), %odd (odd warps), %third (warp 2).
/// Empty when an edit does not fit the instruction.
std::string applied(const Breakage &breakage, std::string_view text, unsigned line);

} // namespace attn::mutation
