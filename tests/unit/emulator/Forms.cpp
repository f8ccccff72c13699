// Forms as PTX, their operand values, and the comparison with the oracle (see Forms.h).
#include "tests/unit/emulator/Forms.h"

#include "tests/unit/emulator/Exact.h"
#include "tests/unit/emulator/Hardware.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <map>
#include <optional>
#include <random>

namespace attn::emulator::testing {

static constexpr std::size_t kBlock = 128, kMostTuples = 2048;
static constexpr std::string_view kFormTarget = "sm_90";

Opcode::Opcode(std::string text) : text(std::move(text)) {
  for (std::size_t at = this->text.find('.'); at != std::string::npos;) {
    std::size_t end = this->text.find('.', at + 1);
    parts.push_back(this->text.substr(at + 1, end == std::string::npos ? end : end - at - 1));
    at = end;
  }
}

bool Opcode::has(std::string_view modifier) const { return std::find(parts.begin(), parts.end(), modifier) != parts.end(); }

Expected Expected::anything() {
  Expected expected(0);
  expected.rule = Rule::Anything;
  return expected;
}
Expected Expected::anyNan() {
  Expected expected(0);
  expected.rule = Rule::AnyNan;
  return expected;
}
Expected Expected::near(double value, double relative, double absolute) {
  Expected expected(0);
  expected.rule = Rule::Near;
  expected.value = value, expected.relative = relative, expected.absolute = absolute;
  return expected;
}

std::vector<std::string> expand(const std::string &pattern) {
  std::size_t open = pattern.find('{');
  if (open == std::string::npos)
    return {pattern};
  std::size_t close = pattern.find('}', open);
  std::vector<std::string> all, rest = expand(pattern.substr(close + 1));
  std::string choices = pattern.substr(open + 1, close - open - 1) + "|";
  for (std::size_t at = 0, end; (end = choices.find('|', at)) != std::string::npos; at = end + 1)
    for (const std::string &tail : rest)
      all.push_back(pattern.substr(0, open) + choices.substr(at, end - at) + tail);
  return all;
}

void Forms::add(const std::string &group, const std::string &pattern, const std::string &result,
                std::vector<std::string> sources, Oracle oracle, std::string operands) {
  if (operands.empty()) {
    operands = "$d";
    for (std::size_t i = 0; i < sources.size(); ++i)
      operands += fmt::format(", ${}", i);
  }
  for (const std::string &text : expand(pattern)) {
    Opcode opcode(text);
    auto resolve = [&](const std::string &type) {
      std::string tail = type.size() > 1 && type[1] == ':' ? type.substr(1) : "";
      return type[0] == 'T' ? opcode.type() + tail : type[0] == 'U' ? opcode.type(1) + tail : type;
    };
    Form form{group, opcode, resolve(result), {}, operands, oracle};
    for (const std::string &type : sources)
      form.sources.push_back(resolve(type));
    forms.push_back(std::move(form));
  }
}

static const std::vector<Form> &formsThat(bool areRefused) {
  static const std::array<std::vector<Form>, 2> forms = [] {
    Forms collected;
    addIntegerForms(collected);
    addBitForms(collected);
    addFloatForms(collected);
    addHalfForms(collected);
    addCompareForms(collected);
    addConvertForms(collected);
    std::array<std::vector<Form>, 2> sorted;
    for (const Form &form : collected.all())
      sorted[isRefusedConversion(form.opcode)].push_back(form);
    return sorted;
  }();
  return forms[areRefused];
}

const std::vector<Form> &allForms() { return formsThat(false); }
const std::vector<Form> &refusedForms() { return formsThat(true); }

static std::string_view plainType(std::string_view type) { return type.substr(0, type.find(':')); }

unsigned bitsOf(std::string_view type) {
  type = plainType(type);
  if (type == "pred" || type == "pred2" || type == "tf32" || type.ends_with("x2"))
    return 32;
  std::size_t digit = type.find_first_of("0123456789");
  return static_cast<unsigned>(std::stoul(std::string(type.substr(digit))));
}

bool isSigned(std::string_view type) { return type[0] == 's'; }

static std::vector<Word> integerValues(unsigned bits) {
  Word top = Word(1) << (bits - 1), all = top | (top - 1);
  std::vector<Word> values = {0,   1,       2,       3,       7,  8,  15, 16, 31, 32, 33, 63, 64, 100, 127, 128, 255, 256,
                              top, top - 1, top + 1, all - 1, all, 0x5555555555555555, 0xAAAAAAAAAAAAAAAA, 0x123456789ABCDEF0};
  std::mt19937_64 random(bits);
  for (int i = 0; i < 12; ++i)
    values.push_back(random() >> (random() % bits));
  for (Word &value : values)
    value &= all;
  return values;
}

static std::vector<Word> floatValues(const oracle::Format &format) {
  Word one = static_cast<Word>(format.bias()) << format.mantissaBits, normal = Word(1) << format.mantissaBits;
  Word infinity = format.infinity();
  std::vector<Word> positive = {0, 1, normal - 1, normal, normal + 1, one - normal, one - 1, one, one + 1, one + normal / 2,
                                one + normal, one + normal + normal / 4, one + normal + normal / 2, one + 3 * normal - 1,
                                infinity - 1, infinity - normal, infinity, infinity | 1, infinity | normal / 2 | 1,
                                one + normal * Word(format.mantissaBits), one - normal * Word(format.mantissaBits), 2 * normal,
                                one + 5 * normal + 12345 % normal};
  std::mt19937_64 random(format.width());
  for (int i = 0; i < 10; ++i) // some of them near one, where sums and products stay in range
    positive.push_back(i % 2 ? random() & (format.sign() - 1) : one - 4 * normal + random() % (8 * normal));
  std::vector<Word> values = positive;
  for (Word value : positive)
    values.push_back(value | format.sign());
  return values;
}

static std::vector<Word> pairValues(const std::vector<Word> &halves) {
  std::vector<Word> values;
  for (std::size_t i = 0; i < halves.size(); ++i) // each value once in each half, beside another
    values.push_back(halves[i] | halves[(7 * i + 3) % halves.size()] << 16);
  return values;
}

static std::vector<Word> makeValues(std::string_view type) {
  if (type.ends_with(":shift"))
    return {0, 1, 5, 8, 15, 16, 17, 24, 31, 32, 33, 47, 63, 64, 65, 127, 128, 255, 256, 257, 0x80000000, 0xFFFFFFFF};
  if (type.ends_with(":bytes")) { // each byte once in each place, beside another
    std::vector<Word> values;
    for (Word byte = 0; byte < 256; ++byte)
      values.push_back(byte | (7 * byte + 3) % 256 << 8);
    return values;
  }
  if (type == "pred")
    return {0, 1};
  if (type == "f16")
    return floatValues(oracle::kF16);
  if (type == "bf16")
    return floatValues(oracle::kBF16);
  if (type == "f16x2")
    return pairValues(floatValues(oracle::kF16));
  if (type == "bf16x2")
    return pairValues(floatValues(oracle::kBF16));
  if (type == "f32")
    return floatValues(oracle::kF32);
  if (type == "f64")
    return floatValues(oracle::kF64);
  return integerValues(bitsOf(type));
}

const std::vector<Word> &valuesOf(std::string_view type) {
  static std::map<std::string, std::vector<Word>, std::less<>> known;
  auto found = known.find(type);
  if (found == known.end())
    found = known.emplace(std::string(type), makeValues(type)).first;
  return found->second;
}

/// All tuples of operand values, or a sample of them; filled up to whole blocks.
static std::vector<Word> tuplesOf(const Form &form) {
  std::size_t count = 1, arity = form.sources.size();
  for (const std::string &type : form.sources)
    count *= valuesOf(type).size();
  std::mt19937_64 random(count);
  std::size_t kept = std::min(count, kMostTuples);
  std::vector<Word> tuples;
  for (std::size_t i = 0; i < (kept + kBlock - 1) / kBlock * kBlock; ++i) {
    std::size_t index = kept < count ? random() % count : i % count;
    for (std::size_t j = 0; j < arity; ++j) {
      const std::vector<Word> &values = valuesOf(form.sources[j]);
      tuples.push_back(values[index % values.size()]);
      index /= values.size();
    }
  }
  return tuples;
}

/// The register class that holds a type, and the letter of its registers: %h, %r, %d.
static unsigned registerBits(std::string_view type) { return std::max(bitsOf(type), 16u); }
static char registerLetter(std::string_view type) {
  unsigned bits = registerBits(type);
  return plainType(type) == "pred" ? 'p' : bits == 16 ? 'h' : bits == 32 ? 'r' : 'd';
}

static std::string entryOf(const Form &form, std::size_t index) {
  std::string text = fmt::format(".visible .entry form{}(.param .u64 in, .param .u64 out)\n{{\n  .reg .pred %p<8>;\n  .reg .b16 "
                                 "%h<8>;\n  .reg .b32 %r<8>;\n  .reg .b64 %d<8>;\n  .reg .b32 %i<4>;\n  .reg .b64 %a<4>;\n",
                                 index);
  text += "  mov.u32 %i0, %ctaid.x;\n  mov.u32 %i1, %ntid.x;\n  mov.u32 %i2, %tid.x;\n  mad.lo.s32 %i0, %i0, %i1, %i2;\n"
          "  ld.param.u64 %a0, [in];\n  ld.param.u64 %a1, [out];\n";
  text += fmt::format("  mad.wide.u32 %a0, %i0, {}, %a0;\n  mad.wide.u32 %a1, %i0, 8, %a1;\n", 8 * form.sources.size());
  std::string call = form.operands;
  auto replace = [&](const std::string &from, const std::string &to) {
    for (std::size_t at; (at = call.find(from)) != std::string::npos;)
      call.replace(at, from.size(), to);
  };
  for (std::size_t i = 0; i < form.sources.size(); ++i) {
    char letter = registerLetter(form.sources[i]);
    if (letter == 'p')
      text += fmt::format("  ld.global.b32 %r{0}, [%a0+{1}];\n  setp.ne.b32 %p{0}, %r{0}, 0;\n", i + 1, 8 * i);
    else
      text += fmt::format("  ld.global.b{} %{}{}, [%a0+{}];\n", registerBits(form.sources[i]), letter, i + 1, 8 * i);
    replace(fmt::format("${}", i), fmt::format("%{}{}", letter, i + 1));
  }
  bool isPair = form.result == "pred2", isPredicate = isPair || form.result == "pred";
  replace("$d", isPair ? "%p6|%p7" : isPredicate ? "%p6" : fmt::format("%{}6", registerLetter(form.result)));
  text += fmt::format("  {} {};\n", form.opcode.text, call);
  if (isPredicate)
    text += "  selp.b32 %r6, 1, 0, %p6;\n";
  if (isPair)
    text += "  selp.b32 %r7, 2, 0, %p7;\n  or.b32 %r6, %r6, %r7;\n";
  text += fmt::format("  st.global.b{} [%a1], %{}6;\n  ret;\n}}\n", registerBits(form.result),
                      isPredicate ? 'r' : registerLetter(form.result));
  return text;
}

std::string moduleOf(const std::vector<const Form *> &forms) {
  std::string text = ".version 8.6\n.target " + std::string(kFormTarget) + "\n.address_size 64\n";
  for (std::size_t i = 0; i < forms.size(); ++i)
    text += entryOf(*forms[i], i);
  return text;
}

static oracle::Format formatOf(std::string_view type) {
  if (type == "f16")
    return oracle::kF16;
  if (type == "bf16")
    return oracle::kBF16;
  return type == "f64" ? oracle::kF64 : oracle::kF32;
}

static bool matches(const Form &form, const Expected &expected, Word got) {
  switch (expected.rule) {
  case Expected::Rule::Anything: return true;
  case Expected::Rule::AnyNan: return formatOf(form.result).isNan(got);
  case Expected::Rule::Bits: return got == expected.bits;
  case Expected::Rule::Near: {
    double value = oracle::toDouble(formatOf(form.result), got);
    if (std::isnan(expected.value) || std::isinf(expected.value) || std::isnan(value))
      return std::isnan(expected.value) ? std::isnan(value) : value == expected.value;
    if (expected.value == 0 && expected.absolute == 0)
      return value == 0 && std::signbit(value) == std::signbit(expected.value);
    return std::abs(value - expected.value) <= std::max(expected.relative * std::abs(expected.value), expected.absolute);
  }
  }
  return false;
}

static std::string describe(const Expected &expected) {
  switch (expected.rule) {
  case Expected::Rule::Bits: return fmt::format("{:#x}", expected.bits);
  case Expected::Rule::Near: return fmt::format("{} (relative error {}, absolute {})", expected.value, expected.relative, expected.absolute);
  case Expected::Rule::AnyNan: return "a NaN";
  default: return "anything";
  }
}

static void compare(const Form &form, const std::vector<Word> &tuples, const std::vector<Word> &results) {
  Word mask = registerBits(form.result) == 64 ? ~Word(0) : (Word(1) << registerBits(form.result)) - 1;
  std::size_t arity = form.sources.size(), wrong = 0;
  for (std::size_t i = 0; i < results.size() && wrong < 4; ++i) {
    const Word *sources = tuples.data() + i * arity;
    Expected expected = form.oracle(form.opcode, sources);
    if (matches(form, expected, results[i] & mask))
      continue;
    ++wrong;
    std::string operands;
    for (std::size_t j = 0; j < arity; ++j)
      operands += fmt::format(" {:#x}", sources[j]);
    ADD_FAILURE() << form.opcode.text << operands << ": expected " << describe(expected) << ", got "
                  << fmt::format("{:#x}", results[i] & mask);
  }
}

std::vector<std::pair<std::string, std::string>> check(const std::vector<const Form *> &forms) {
  std::vector<std::pair<std::string, std::string>> executed;
  auto module = PtxModule::parse(moduleOf(forms), "forms.ptx");
  if (!module) {
    ADD_FAILURE() << module.status().message();
    return executed;
  }
  auto gpu = std::move(*VirtualGpu::create());
  std::optional<HardwareModule> hardware;
  if (hasHardware(kFormTarget))
    hardware.emplace(moduleOf(forms));
  for (std::size_t i = 0; i < forms.size(); ++i) {
    std::vector<Word> tuples = tuplesOf(*forms[i]);
    std::vector<Word> results(tuples.size() / forms[i]->sources.size(), 0);
    DeviceAddress in = *gpu->allocate(tuples.size() * 8), out = *gpu->allocate(results.size() * 8);
    EXPECT_TRUE(gpu->copyIn(in, std::as_bytes(std::span(tuples))));
    EXPECT_TRUE(gpu->copyIn(out, std::as_bytes(std::span(results))));
    void *arguments[] = {&in, &out};
    const LaunchConfig config{.grid = {static_cast<std::uint32_t>(results.size() / kBlock), 1, 1}, .block = {kBlock, 1, 1}};
    if (hardware) { // the oracle judges the GPU too: an oracle that is wrong would let the virtual one be wrong with it
      SCOPED_TRACE("on the GPU");
      const std::array buffers = {std::as_bytes(std::span(tuples)), std::as_bytes(std::span(results))};
      if (std::vector<Word> real = hardware->run(fmt::format("form{}", i), config, buffers, {}, 8 * results.size()); !real.empty())
        compare(*forms[i], tuples, real);
    }
    LaunchReport report = gpu->launch(*module, fmt::format("form{}", i), config, arguments, {.threads = 1});
    EXPECT_TRUE(report.status) << forms[i]->opcode.text << ": " << report.status.message();
    EXPECT_TRUE(gpu->copyOut(std::as_writable_bytes(std::span(results)), out));
    compare(*forms[i], tuples, results);
    for (const LineCounters &line : report.counters.lines)
      executed.emplace_back(line.opcode, std::string(line.row));
    EXPECT_TRUE(gpu->free(in));
    EXPECT_TRUE(gpu->free(out));
  }
  return executed;
}

} // namespace attn::emulator::testing
