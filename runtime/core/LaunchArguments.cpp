// Binding: arguments to the manifest's names, and shapes to extents.
#include "runtime/core/LaunchArguments.h"

#include "support/NearestName.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace attn::runtime {

static constexpr std::int64_t kLargestExtent = std::numeric_limits<std::int32_t>::max(); // kernels count in s32

std::optional<std::int64_t> BoundArguments::extent(std::string_view name) const {
  for (const ExtentValue &entry : extents)
    if (entry.name == name)
      return entry.value;
  return std::nullopt;
}

namespace {

/// Does the work of `bindArguments`; the members are its inputs and its result.
class Binder {
public:
  Binder(const PlanManifest &manifest, std::span<const std::string> extents, std::span<const Argument> arguments)
      : manifest(manifest), extents(extents), arguments(arguments) {
    bound.tensors.resize(manifest.tensors.size());
    bound.scalars.resize(manifest.scalars.size());
    bound.extents.reserve(extents.size());
    tensorGiven.resize(manifest.tensors.size());
    scalarGiven.resize(manifest.scalars.size());
  }

  Result<BoundArguments> bind() {
    for (const Argument &argument : arguments)
      if (Status status = assign(argument); !status)
        return status;
    // Extents that are a dimension by themselves come first, so that sizes made of them can be checked in any order.
    for (auto step : {&Binder::checkPresence, &Binder::bindNamedExtents, &Binder::bindSolvedExtents, &Binder::checkExtentsKnown,
                      &Binder::checkSizes, &Binder::checkScalars, &Binder::checkConditions})
      if (Status status = (this->*step)(); !status)
        return status;
    return std::move(bound);
  }

private:
  static Status refuse(std::string message) { return {StatusCode::InvalidArgument, std::move(message)}; }

  Status assign(const Argument &argument) {
    for (std::size_t i = 0; i < manifest.tensors.size(); ++i)
      if (manifest.tensors[i].name == argument.name)
        return assignTensor(i, argument);
    for (std::size_t i = 0; i < manifest.scalars.size(); ++i)
      if (manifest.scalars[i].name == argument.name)
        return assignScalar(i, argument);
    for (const std::string &extent : extents)
      if (extent == argument.name)
        return assignExtent(extent, argument);
    return refuse(fmt::format("there is no argument `{}`{}", argument.name, nameHint(argument.name, knownNames())));
  }

  Status assignTensor(std::size_t index, const Argument &argument) {
    const TensorArgument &expected = manifest.tensors[index];
    if (expected.role == ArgumentRole::Workspace)
      return refuse(fmt::format("`{}` is workspace, which is given as a block in the launch options", expected.name));
    const auto *tensor = std::get_if<TensorView>(&argument.value);
    if (!tensor)
      return refuse(fmt::format("`{}` is a tensor of {}, but got a number", expected.name, spelling(expected.type)));
    if (tensorGiven[index])
      return refuse(fmt::format("`{}` is given twice", expected.name));
    tensorGiven[index] = true;
    if (tensor->type() != expected.type)
      return refuse(fmt::format("`{}`: expects {}, but got {}", expected.name, spelling(expected.type),
                                spelling(tensor->type())));
    if (tensor->shape().rank() != expected.dims.size() || tensor->strides().rank() != expected.dims.size())
      return refuse(fmt::format("`{}`: expects {} dimensions {}, but got {} (with {} strides)", expected.name,
                                expected.dims.size(), dimsText(expected), tensor->shape().rank(),
                                tensor->strides().rank()));
    bound.tensors[index] = *tensor;
    return {};
  }

  Status assignScalar(std::size_t index, const Argument &argument) {
    const ScalarArgument &expected = manifest.scalars[index];
    if (scalarGiven[index])
      return refuse(fmt::format("`{}` is given twice", expected.name));
    scalarGiven[index] = true;
    auto mismatch = [&](std::string_view got) {
      return refuse(fmt::format("`{}`: expects {}, but got {}", expected.name, spelling(expected.type), got));
    };
    if (std::holds_alternative<TensorView>(argument.value))
      return mismatch("a tensor");
    if (const bool *flag = std::get_if<bool>(&argument.value)) {
      if (expected.type != ElementType::Bool)
        return mismatch("bool");
      bound.scalars[index] = *flag;
    } else if (const auto *integer = std::get_if<std::int64_t>(&argument.value)) {
      if (expected.type == ElementType::Bool)
        return mismatch(fmt::format("the number {}", *integer));
      if (*integer < std::numeric_limits<std::int32_t>::min() || *integer > std::numeric_limits<std::int32_t>::max())
        return refuse(fmt::format("`{}`: {} does not fit 32 bits", expected.name, *integer));
      bound.scalars[index] = static_cast<double>(*integer);
    } else {
      double number = std::get<double>(argument.value);
      if (expected.type != ElementType::F32)
        return mismatch(fmt::format("the real number {}", number));
      bound.scalars[index] = number;
    }
    return {};
  }

  Status assignExtent(std::string_view name, const Argument &argument) {
    const auto *value = std::get_if<std::int64_t>(&argument.value);
    if (!value)
      return refuse(fmt::format("`{}` is an extent and expects a whole number", name));
    return bindExtent(name, *value, "the argument");
  }

  Status bindExtent(std::string_view name, std::int64_t value, std::string_view givenBy) {
    if (value < 0 || value > kLargestExtent)
      return refuse(fmt::format("`{}`: {} is out of the range 0..{} of extents", name, value, kLargestExtent));
    for (const ExtentValue &entry : bound.extents) {
      if (entry.name != name)
        continue;
      if (entry.value == value)
        return {};
      return refuse(fmt::format("`{}` is {} by {}, but {} by {}", name, entry.value, quoted(entry.givenBy), value,
                                quoted(givenBy)));
    }
    bound.extents.push_back({name, value, givenBy});
    return {};
  }

  Status checkPresence() {
    for (std::size_t i = 0; i < manifest.tensors.size(); ++i)
      if (!tensorGiven[i] && manifest.tensors[i].role != ArgumentRole::Workspace)
        return refuse(fmt::format("`{}` is missing: a tensor of {} {}", manifest.tensors[i].name,
                                  spelling(manifest.tensors[i].type), dimsText(manifest.tensors[i])));
    for (std::size_t i = 0; i < manifest.scalars.size(); ++i) {
      if (scalarGiven[i])
        continue;
      if (!manifest.scalars[i].defaultValue)
        return refuse(fmt::format("`{}` is missing: a number of type {} without a default", manifest.scalars[i].name,
                                  spelling(manifest.scalars[i].type)));
      bound.scalars[i] = *manifest.scalars[i].defaultValue;
    }
    return {};
  }

  Status bindNamedExtents() {
    for (std::size_t i = 0; i < manifest.tensors.size(); ++i) {
      const TensorArgument &tensor = manifest.tensors[i];
      if (tensor.role == ArgumentRole::Workspace)
        continue;
      for (std::size_t d = 0; d < tensor.dims.size(); ++d)
        if (auto name = tensor.dims[d].asName())
          if (Status status = bindExtent(*name, bound.tensors[i].shape()[d], tensor.name); !status)
            return status;
    }
    return {};
  }

  /// An extent that no dimension is by itself may be the only unknown of one: `batch + 1`, `2 * span`.
  Status bindSolvedExtents() {
    for (bool isNew = true; isNew;) {
      isNew = false;
      for (std::size_t i = 0; i < manifest.tensors.size(); ++i)
        for (std::size_t d = 0; manifest.tensors[i].role != ArgumentRole::Workspace && d < manifest.tensors[i].dims.size(); ++d) {
          std::size_t known = bound.extents.size();
          if (Status status = solve(manifest.tensors[i], d, bound.tensors[i].shape()[d]); !status)
            return status;
          isNew |= bound.extents.size() != known;
        }
    }
    return {};
  }

  /// Inverts what a dimension's size does to the one extent in it that has no value yet, if it has one such.
  Status solve(const TensorArgument &tensor, std::size_t dim, std::int64_t size) {
    SizeExpr expr = tensor.dims[dim];
    std::int64_t value = size;
    while (!expr.asName()) {
      using Kind = SizeExpr::Kind;
      bool isBinary = expr.kind() == Kind::Add || expr.kind() == Kind::Sub || expr.kind() == Kind::Mul;
      if (!isBinary)
        return {};
      auto left = expr.lhs().evaluate(bound.lookup()), right = expr.rhs().evaluate(bound.lookup());
      if (left.has_value() == right.has_value())
        return {};
      std::int64_t number = left ? *left : *right;
      if (expr.kind() == Kind::Mul) {
        if (number == 0)
          return {};
        if (value % number != 0)
          return unsolved(tensor, dim, size);
        value /= number;
      } else if (expr.kind() == Kind::Add) {
        value -= number;
      } else {
        value = left ? number - value : value + number;
      }
      expr = left ? expr.rhs() : expr.lhs();
    }
    if (bound.extent(*expr.asName()))
      return {};
    if (value < 0)
      return unsolved(tensor, dim, size);
    return bindExtent(*expr.asName(), value, tensor.name);
  }

  Status unsolved(const TensorArgument &tensor, std::size_t dim, std::int64_t size) const {
    std::string unknown;
    for (const std::string &name : tensor.dims[dim].names())
      if (!bound.extent(name))
        unknown = name;
    return refuse(fmt::format("`{}`: dimension {} is `{}`, which is {} for no `{}`{}", tensor.name, dim, tensor.dims[dim].text(), size, unknown,
                              valuesOf(tensor.dims[dim])));
  }

  Status checkExtentsKnown() {
    for (const std::string &name : extents)
      if (!bound.extent(name))
        return refuse(fmt::format("`{}` is missing: no tensor's shape gives this extent, so pass it as a number", name));
    return {};
  }

  Status checkSizes() {
    for (std::size_t i = 0; i < manifest.tensors.size(); ++i) {
      const TensorArgument &tensor = manifest.tensors[i];
      if (tensor.role == ArgumentRole::Workspace)
        continue;
      for (std::size_t d = 0; d < tensor.dims.size(); ++d) {
        auto expected = tensor.dims[d].evaluate(bound.lookup());
        std::int64_t actual = bound.tensors[i].shape()[d];
        if (!expected || *expected < 0)
          return refuse(fmt::format("`{}`: the size `{}` of dimension {} has no value here{}", tensor.name,
                                    tensor.dims[d].text(), d, valuesOf(tensor.dims[d])));
        if (actual != *expected)
          return refuse(fmt::format("`{}`: dimension {} must be {}, but is {}", tensor.name, d,
                                    sizeText(tensor.dims[d], *expected), actual));
      }
    }
    return {};
  }

  Status checkScalars() {
    for (std::size_t i = 0; i < manifest.scalars.size(); ++i) {
      const ScalarArgument &scalar = manifest.scalars[i];
      if (scalar.positive && !(bound.scalars[i] > 0 && std::isfinite(bound.scalars[i])))
        return refuse(fmt::format("`{}`: {} is no scale, which is a number above 0", scalar.name, bound.scalars[i]));
      if (!scalar.range)
        continue;
      auto lo = scalar.range->lo.evaluate(bound.lookup()), hi = scalar.range->hi.evaluate(bound.lookup());
      if (!lo || !hi)
        return refuse(fmt::format("`{}`: its range `{}..{}` has no value here", scalar.name, scalar.range->lo.text(),
                                  scalar.range->hi.text()));
      double value = bound.scalars[i];
      if (!(value >= static_cast<double>(*lo) && value <= static_cast<double>(*hi)))
        return refuse(fmt::format("`{}`: {} is out of {}..{}", scalar.name, value, sizeText(scalar.range->lo, *lo),
                                  sizeText(scalar.range->hi, *hi)));
    }
    return {};
  }

  Status checkConditions() {
    for (const ExtentCheck &check : manifest.checks) {
      auto value = check.mustBeZero.evaluate(bound.lookup());
      if (!value || *value != 0)
        return refuse(check.message + valuesOf(check.mustBeZero));
    }
    return {};
  }

  /// " (q_heads = 9, kv_heads = 2)"
  std::string valuesOf(const SizeExpr &expr) const {
    std::vector<std::string> parts;
    for (const std::string &name : expr.names())
      if (auto value = bound.extent(name))
        parts.push_back(fmt::format("{} = {}", name, *value));
    return parts.empty() ? "" : fmt::format(" ({})", fmt::join(parts, ", "));
  }
  /// "64", or "`q_len + 1` = 65"
  static std::string sizeText(const SizeExpr &expr, std::int64_t value) {
    return expr.constant() ? std::to_string(value) : fmt::format("`{}` = {}", expr.text(), value);
  }
  static std::string dimsText(const TensorArgument &tensor) {
    std::vector<std::string> texts;
    for (const SizeExpr &dim : tensor.dims)
      texts.push_back(dim.text());
    return fmt::format("[{}]", fmt::join(texts, ", "));
  }
  static std::string quoted(std::string_view who) {
    return who.find(' ') == std::string_view::npos ? fmt::format("`{}`", who) : std::string(who);
  }
  std::vector<std::string> knownNames() const {
    std::vector<std::string> names;
    for (const TensorArgument &tensor : manifest.tensors)
      if (tensor.role != ArgumentRole::Workspace)
        names.push_back(tensor.name);
    for (const ScalarArgument &scalar : manifest.scalars)
      names.push_back(scalar.name);
    return names;
  }

  const PlanManifest &manifest;
  std::span<const std::string> extents;
  std::span<const Argument> arguments;
  BoundArguments bound;
  std::vector<bool> tensorGiven, scalarGiven;
};

} // namespace

Result<BoundArguments> bindArguments(const PlanManifest &manifest, std::span<const std::string> extents,
                                     std::span<const Argument> arguments) {
  return Binder(manifest, extents, arguments).bind();
}

} // namespace attn::runtime
