// atom and red (PTX ISA 9.7.13.5, 9.7.13.6): each operation on a cell of its own, against the definition; all lanes on one
// cell; and the modifiers that change no value.
#include "tests/unit/emulator/Exact.h"
#include "tests/unit/emulator/Forms.h"
#include "tests/unit/emulator/Programs.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>

namespace attn::emulator::testing {

static Word mask(unsigned bits) { return bits == 64 ? ~Word(0) : (Word(1) << bits) - 1; }

static std::int64_t asSigned(Word word, unsigned bits) {
  return static_cast<std::int64_t>(word << (64 - bits)) >> (64 - bits);
}

static Word addHalves(const oracle::Format &format, const std::string &type, Word a, Word b) {
  Word sum = 0;
  for (unsigned part = 0; part < (type.ends_with("x2") ? 2u : 1u); ++part)
    sum |= oracle::add(format, a >> (16 * part) & 0xFFFF, b >> (16 * part) & 0xFFFF, oracle::Mode::Nearest) << (16 * part);
  return sum;
}

/// What the cell holds afterwards.
static Word after(const Opcode &op, Word old, Word value, Word swap) {
  const std::string &type = op.type();
  unsigned bits = bitsOf(type);
  if (type == "f32")
    return oracle::add(oracle::kF32, old, value, oracle::Mode::Nearest);
  if (type == "f64")
    return oracle::add(oracle::kF64, old, value, oracle::Mode::Nearest);
  if (type.find("f16") != std::string::npos)
    return addHalves(type[0] == 'b' ? oracle::kBF16 : oracle::kF16, type, old, value);
  bool less = isSigned(type) ? asSigned(value, bits) < asSigned(old, bits) : value < old;
  if (op.has("add"))
    return (old + value) & mask(bits);
  if (op.has("min"))
    return less ? value : old;
  if (op.has("max"))
    return less ? old : value;
  if (op.has("inc"))
    return old >= value ? 0 : old + 1;
  if (op.has("dec"))
    return old == 0 || old > value ? value : old - 1;
  if (op.has("and"))
    return old & value;
  if (op.has("or"))
    return old | value;
  if (op.has("xor"))
    return old ^ value;
  if (op.has("exch"))
    return value;
  return old == value ? swap : old; // cas
}

/// Triples (cell, operand, second operand) for 128 threads; for cas every other one compares equal.
static std::vector<Word> triples(const Opcode &op) {
  const std::vector<Word> &values = valuesOf(op.type());
  std::vector<Word> chosen;
  for (std::size_t i = 0; i < 128; ++i) {
    Word old = values[i % values.size()], value = values[(5 * i + i / values.size() + 1) % values.size()];
    chosen.insert(chosen.end(), {old, op.has("cas") && i % 2 ? old : value, values[(3 * i + 2) % values.size()]});
  }
  return chosen;
}

static char letterOf(unsigned bits) { return bits == 16 ? 'h' : bits == 32 ? 'r' : 'd'; }

/// Runs one opcode on 128 cells of global or shared memory and compares old and new values.
static void checkAtomic(const std::string &text) {
  Opcode op(text);
  unsigned bits = bitsOf(op.type());
  char letter = letterOf(bits);
  bool isShared = op.has("shared") || op.has("shared::cta"), returns = op.root() == "atom";
  std::vector<Word> cells = triples(op);
  Words input(cells.size() * 2);
  for (std::size_t i = 0; i < cells.size(); ++i)
    input[2 * i] = static_cast<std::uint32_t>(cells[i]), input[2 * i + 1] = static_cast<std::uint32_t>(cells[i] >> 32);
  std::string body = fmt::format("  mad.wide.u32 %d40, %thread, 24, %in0;\n  mad.wide.u32 %d41, %thread, 16, %out;\n"
                                 "  ld.b{0} %{1}1, [%d40];\n  ld.b{0} %{1}2, [%d40+8];\n  ld.b{0} %{1}3, [%d40+16];\n",
                                 bits, letter);
  body += isShared ? "  .shared .align 8 .b8 cells[1024];\n  mov.u32 %r40, cells;\n  mad.lo.u32 %r40, %thread, 8, %r40;\n"
                   : "";
  std::string address = isShared ? "%r40" : "%d41", space = isShared ? ".shared" : "";
  if (op.has("L2::cache_hint"))
    body += "  createpolicy.fractional.L2::evict_last.b64 %d9, 1.0;\n";
  body += fmt::format("  st{}.b{} [{}], %{}1;\n  {} {}[{}], %{}2{}{};\n", space, bits, address, letter, text,
                      returns ? fmt::format("%{}4, ", letter) : "", address, letter,
                      op.has("cas") ? fmt::format(", %{}3", letter) : "", op.has("L2::cache_hint") ? ", %d9" : "");
  body += fmt::format("  ld{}.b{} %{}5, [{}];\n  st.b{} [%d41], %{}5;\n", space, bits, letter, address, bits, letter);
  if (returns)
    body += fmt::format("  st.b{} [%d41+8], %{}4;\n", bits, letter);
  Words out = run({.body = body, .inputs = {input}, .outputs = 512, .block = {128, 1, 1}});
  for (std::size_t i = 0; i < 128; ++i) {
    Word got = (out[4 * i] | Word(out[4 * i + 1]) << 32) & mask(bits), old = (out[4 * i + 2] | Word(out[4 * i + 3]) << 32) & mask(bits);
    Word expected = after(op, cells[3 * i], cells[3 * i + 1], cells[3 * i + 2]);
    bool isNan = (op.type() == "f64" && oracle::kF64.isNan(expected)) || (op.type() == "f32" && oracle::kF32.isNan(expected));
    if (isNan) // which NaN is open
      EXPECT_TRUE(op.type() == "f64" ? oracle::kF64.isNan(got) : oracle::kF32.isNan(got)) << text;
    else
      ASSERT_EQ(got, expected) << text << fmt::format(" {:#x} {:#x} {:#x}", cells[3 * i], cells[3 * i + 1], cells[3 * i + 2]);
    if (returns) {
      ASSERT_EQ(old, cells[3 * i]) << text;
    }
  }
}

static void operations() {
  for (const char *pattern :
       {"{atom|red}{.global|.shared|.shared::cta|}.add.{u32|s32|u64|f32|f64}", "{atom|red}{.global|.shared}.{min|max}.{u32|s32|u64|s64}",
        "{atom|red}{.global|.shared}.{inc|dec}.u32", "{atom|red}{.global|.shared}.{and|or|xor}.{b32|b64}",
        "atom{.global|.shared|}.exch.{b32|b64}", "atom{.global|.shared|.shared::cta|}.cas.{b16|b32|b64}",
        "{atom|red}{.global|.shared|}.add.noftz.{f16|f16x2|bf16|bf16x2}"})
    for (const std::string &text : expand(pattern))
      checkAtomic(text);
}

static void modifiers() {
  for (const char *pattern :
       {"atom{.relaxed|.acquire|.release|.acq_rel}{.cta|.cluster|.gpu|.sys}{.global|.shared::cta}.add.u32",
        "atom{.relaxed|.acquire|.release|.acq_rel}{.cta|.cluster|.gpu|.sys}{.global|.shared|.shared::cta}.cas.b32",
        "atom{.relaxed|.acquire|.release|.acq_rel}{.cta|.cluster|.gpu|.sys}{.global|.shared|.shared::cta}.add.f32",
        "atom{.relaxed|.acquire|.release|.acq_rel}{.cta|.cluster|.gpu|.sys}{.global|.shared|.shared::cta}.add.noftz.f16x2",
        "red{.relaxed|.release}{.cta|.cluster|.gpu|.sys}{.global|.shared|.shared::cta}.add.u32",
        "red{.relaxed|.release}{.cta|.cluster|.gpu|.sys}{.global|.shared|.shared::cta}.add.f64",
        "red{.relaxed|.release}{.cta|.cluster|.gpu|.sys}{.global|.shared|.shared::cta}.add.noftz.bf16",
        "{atom|red}.global.add.L2::cache_hint.{u32|f32}", "{atom|red}.global.add.noftz.L2::cache_hint.f16x2"})
    for (const std::string &text : expand(pattern))
      checkAtomic(text);
}

/// All threads of four CTAs on one cell: nothing is lost, and the old values of inc are all different.
static void contention() {
  Words out = run({.body = "  atom.global.add.u32 %r0, [%in0], 1;\n  red.global.max.u32 [%in0+4], %thread;\n"
                           "  mad.wide.u32 %d0, %r0, 4, %out;\n  st.u32 [%d0], 1;\n",
                   .inputs = {Words{0, 0}},
                   .outputs = 512,
                   .grid = {4, 1, 1},
                   .block = {128, 1, 1}});
  EXPECT_EQ(out, Words(512, 1));
  out = run({.body = "  .shared .u32 cells[2];\n  setp.eq.u32 %p0, %thread, 0;\n  @%p0 st.shared.v2.u32 [cells], {%thread, %thread};\n"
                     "  bar.sync 0;\n  red.shared.add.u32 [cells], %thread;\n  atom.shared.inc.u32 %r0, [cells+4], 9;\n  bar.sync 0;\n"
                     "  ld.shared.u32 %r1, [cells];\n  ld.shared.u32 %r2, [cells+4];\n  mad.lo.u32 %r1, %r1, 100, %r2;\n"
                     "  st.u32 [%mine], %r1;\n",
             .outputs = 64,
             .block = {64, 1, 1}});
  EXPECT_EQ(out, Words(64, 64 * 63 / 2 * 100 + 64 % 10));
}

std::vector<ProgramCase> atomicCases() {
  return {{"atomic_operations", operations}, {"atomic_modifiers", modifiers}, {"atomic_contention", contention}};
}

} // namespace attn::emulator::testing
