#include "tests/conformance/SpecialValues.h"

#include "dsl/RandomInputs.h"
#include "tools/attnc/Check.h"
#include "tools/attnc/RequestLengths.h"

#include <cmath>
#include <limits>
#include <map>
#include <sstream>

namespace attn::conformance {

static constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
static constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// The values of a shape as the table writes it.
static std::map<std::string, double> valuesOf(const std::string &shape) {
  std::map<std::string, double> values;
  std::istringstream stream(shape);
  for (std::string item; std::getline(stream, item, ',');) {
    std::size_t equals = item.find('=');
    std::string name = item.substr(0, equals), text = item.substr(equals + 1);
    if (text.find('/') == std::string::npos)
      values[name] = std::stod(text);
    else
      static_cast<void>(tools::addLengths(name, text, values));
  }
  return values;
}

/// Infinities too where the type has them, to which rounding to e5m2 does not lead.
static void setAny(HostTensor &tensor, std::int64_t index, double value) {
  if (tensor.type == ElementType::E5M2 && std::isinf(value))
    tensor.bytes[static_cast<std::size_t>(index)] = static_cast<std::byte>(value > 0 ? 0x7c : 0xfc);
  else
    tensor.set(index, value);
}

/// Sets a row of key or value: all channels of all heads, or of one (request, head).
static void fillRow(HostTensor &tensor, std::int64_t b, std::int64_t row, std::int64_t head, double value) {
  std::int64_t width = tensor.shape[3], first = ((b * tensor.shape[1] + row) * tensor.shape[2] + head) * width;
  for (std::int64_t c = 0; c < width; ++c)
    setAny(tensor, first + c, value);
}

static void fillRows(HostTensor &tensor, std::int64_t b, std::int64_t row, double value) {
  for (std::int64_t head = 0; head < tensor.shape[2]; ++head)
    fillRow(tensor, b, row, head, value);
}

static void fillLastRows(HostTensor &tensor, double value) {
  for (std::int64_t b = 0; b < tensor.shape[0]; ++b)
    fillRows(tensor, b, tensor.shape[1] - 1, value);
}

/// Multiples of 2^-24 up to 2^-14.
static void fillTiny(dsl::EvaluationInput &input) {
  for (auto &[name, tensor] : input.tensors)
    if (isFloat(tensor.type) && name != "query" && name != "key" && name != "value")
      for (std::int64_t i = 0; i < tensor.elementCount(); ++i)
        tensor.set(i, static_cast<double>(i * 37 % 1024) * 0x1p-24);
}

/// NaN and infinities of both signs in turn, in one channel of every 7th row of parameters that are tables of vectors.
static void fillTableRows(dsl::EvaluationInput &input) {
  for (auto &[name, tensor] : input.tensors) {
    if (!isFloat(tensor.type) || tensor.shape.size() < 2 || name == "query" || name == "key" || name == "value")
      continue;
    const double special[] = {kNaN, kInfinity, -kInfinity};
    std::int64_t width = tensor.shape.back(), rows = tensor.elementCount() / width;
    for (std::int64_t row = 3; row < rows; row += 7)
      tensor.set(row * width + row / 7 % 4, special[row / 7 % 3]);
  }
}

static void fillPastLengths(dsl::EvaluationInput &input) {
  const HostTensor &lengths = input.tensors.find("lengths")->second;
  for (const char *name : {"key", "value"}) {
    auto found = input.tensors.find(name);
    if (found == input.tensors.end()) // values may be a part of keys
      continue;
    HostTensor &tensor = found->second;
    for (std::int64_t b = 0; b < tensor.shape[0]; ++b)
      for (auto row = static_cast<std::int64_t>(lengths.get(b)); row < tensor.shape[1]; ++row)
        fillRows(tensor, b, row, row % 2 == 0 ? kNaN : kInfinity);
  }
}

static void fillEvenRequests(dsl::EvaluationInput &input) {
  const HostTensor &ends = input.tensors.find("cu_seqlens_kv")->second;
  for (const char *name : {"key", "value"}) {
    HostTensor &tensor = input.tensors.find(name)->second;
    const std::int64_t width = tensor.shape[1] * tensor.shape[2];
    for (std::int64_t b = 0; b + 1 < ends.elementCount(); b += 2)
      for (auto i = static_cast<std::int64_t>(ends.get(b)) * width; i < static_cast<std::int64_t>(ends.get(b + 1)) * width; ++i)
        tensor.set(i, kNaN);
  }
}

/// NaN in one channel, infinities of both signs in others, of every 11th row from one on that differs by request and head;
/// never in most channels, so that rows of results stay long enough to be judged.
static void fillSome(HostTensor &values) {
  const auto &shape = values.shape;
  for (std::int64_t b = 0; b < shape[0]; ++b)
    for (std::int64_t head = 0; head < shape[2]; ++head)
      for (std::int64_t row = (4 + b + 2 * head) % 11; row < shape[1]; row += 11) {
        std::int64_t first = ((b * shape[1] + row) * shape[2] + head) * shape[3];
        const double special[] = {kNaN, kInfinity, -kInfinity};
        for (int i = 0; i < 3; ++i)
          setAny(values, first + (row / 11 * 5 + i * (head + 1)) % 12, special[(row / 11 + i) % 3]);
      }
}

Result<dsl::EvaluationInput> makeInput(const dsl::TypedSpec &spec, const std::string &shape, Values values, std::uint64_t seed) {
  double scale = values == Values::Huge ? 40 : values == Values::Tiny ? 1e-6 : 1;
  Result<dsl::EvaluationInput> input = dsl::randomInput(spec, tools::boundByName(spec, valuesOf(shape)), {.seed = seed, .varyScalars = false, .scale = scale});
  if (!input)
    return input;
  auto tensor = [&](const char *name) -> HostTensor & { return input->tensors.find(name)->second; };
  switch (values) {
  case Values::Normal:
  case Values::Huge:
  case Values::Tiny:
    break;
  case Values::TinyParameters:
    fillTiny(*input);
    break;
  case Values::LastKeyNan:
    fillLastRows(tensor("key"), kNaN);
    break;
  case Values::LastKeyInf:
    fillLastRows(tensor("key"), kInfinity);
    break;
  case Values::LastValueNan:
    fillLastRows(tensor("value"), kNaN);
    break;
  case Values::LastValueInf:
    fillLastRows(tensor("value"), kInfinity);
    break;
  case Values::SomeValuesNan:
    fillSome(tensor("value"));
    break;
  case Values::OneKeyNan:
    fillRow(tensor("key"), 0, tensor("key").shape[1] / 2, 0, kNaN);
    break;
  case Values::SomeTableRowsNan:
    fillTableRows(*input);
    break;
  case Values::PastLengths:
    fillPastLengths(*input);
    break;
  case Values::EvenRequestsNan:
    fillEvenRequests(*input);
    break;
  }
  return input;
}

} // namespace attn::conformance
