// Has bncheck judge a batch normalization written in C++17. One header, no dependencies.
//
// Derive from `bncheck::Kernel` where yours is a function without state, or from `bncheck::Backend` and `bncheck::Layer`
// where it is a layer with its own, and hand it to `bncheck::serve`:
//
//     int main() {
//         MyBatchNorm backend;
//         return bncheck::serve(backend);
//     }
//
// bncheck run --backend-cmd ./my-batch-norm
//
// README.md beside this file goes through it, docs/protocol.md has what goes over the pipe.

#ifndef BNCHECK_HPP
#define BNCHECK_HPP

#include <unistd.h>

#include <algorithm>
#include <any>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace bncheck {

// The version of the protocol.
constexpr std::int64_t PROTOCOL = 4;

// ---------------------------------------------------------------------------------------------------------- errors

// An error that a layer raises, of one of the classes that docs/protocol.md lists. It is behaviour, and compared.
class LayerError : public std::runtime_error {
public:
    LayerError(std::string error_class, const std::string& message)
        : std::runtime_error(message), error_class(std::move(error_class)) {}

    std::string error_class;
};

// Thrown anywhere on the way through a request: it cannot be expressed, and nothing of it is judged. The message is the
// reason.
class Unsupported : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

// Bytes that are not a message of this protocol.
class FrameError : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

// ----------------------------------------------------------------------------------------------------------- times

namespace detail {

// How long a backend's own code takes over a step, in nanoseconds: what an answer says in `nanos`.
class Clock {
public:
    static Clock& here() {
        static thread_local Clock clock;
        return clock;
    }

    // A call of a backend's code, which counts but where parts of it are measured by themselves.
    template <class Do>
    decltype(auto) calling(Do&& call) {
        const Lap lap{whole_};
        return std::forward<Do>(call)();
    }

    template <class Do>
    decltype(auto) computing(Do&& part) {
        has_parts_ = true;
        const Lap lap{parts_};
        return std::forward<Do>(part)();
    }

    // What was measured since this was last asked.
    std::uint64_t take() {
        const Time taken = has_parts_ ? parts_ : whole_;
        *this = Clock();
        return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(taken).count());
    }

private:
    using Time = std::chrono::steady_clock::duration;

    // Adds the time that it lives to another; also where it ends by an exception.
    struct Lap {
        Time& sum;
        std::chrono::steady_clock::time_point since = std::chrono::steady_clock::now();

        ~Lap() { sum += std::chrono::steady_clock::now() - since; }
    };

    Time whole_{}, parts_{};
    bool has_parts_ = false;
};

// Makes a call of a backend's code, which counts.
template <class Do>
decltype(auto) calling(Do&& call) {
    return Clock::here().calling(std::forward<Do>(call));
}

}  // namespace detail

// Does a part of a layer's work that counts as its arithmetic, for `bncheck bench`, and gives what it gives: a call of the
// library that is judged, with tensors that are its own already. Where a step has such parts, nothing else of it counts;
// where it has none, all that is called of the layer does.
template <class Do>
decltype(auto) computing(Do&& part) {
    return detail::Clock::here().computing(std::forward<Do>(part));
}

// --------------------------------------------------------------------------------------------------------- tensors

enum class DType { f16, bf16, f32, f64, i64 };

struct DTypeInfo {
    DType dtype;
    // As messages call it, and as safetensors does.
    const char* name;
    const char* stored_as;
    std::size_t size;
};

inline constexpr DTypeInfo DTYPES[] = {
    {DType::f16, "f16", "F16", 2},    {DType::bf16, "bf16", "BF16", 2}, {DType::f32, "f32", "F32", 4},
    {DType::f64, "f64", "F64", 8},    {DType::i64, "i64", "I64", 8},
};

inline const DTypeInfo& info(DType dtype) { return DTYPES[static_cast<std::size_t>(dtype)]; }

inline DType dtype_called(std::string_view name) {
    for (const auto& one : DTYPES) {
        if (name == one.name) return one.dtype;
    }
    throw FrameError("there is no type `" + std::string(name) + "`");
}

using Shape = std::vector<std::size_t>;

inline std::string text_of(const Shape& shape) {
    std::string text = "[";
    for (std::size_t i = 0; i < shape.size(); ++i) text += (i ? ", " : "") + std::to_string(shape[i]);
    return text + "]";
}

namespace detail {

template <class To, class From>
To bits_as(const From& from) {
    static_assert(sizeof(To) == sizeof(From));
    To to;
    std::memcpy(&to, &from, sizeof(To));
    return to;
}

// The product of the sizes; nothing where no memory could hold so many.
inline std::optional<std::size_t> count_of(const Shape& shape) {
    std::size_t count = 1;
    for (std::size_t size : shape) {
        if (size != 0 && count > std::numeric_limits<std::size_t>::max() / 16 / size) return std::nullopt;
        count *= size;
    }
    return count;
}

// A number rounded once, to nearest, ties to even, to a type with so many bits of mantissa and exponent below the sign.
inline std::uint16_t narrowed(double value, int mantissa, int exponent) {
    const auto bits = bits_as<std::uint64_t>(value);
    const auto sign = static_cast<std::uint16_t>(bits >> 63 << 15);
    const int bias = (1 << (exponent - 1)) - 1;
    const auto infinity = static_cast<std::uint16_t>(((1 << exponent) - 1) << mantissa);
    if (std::isnan(value)) return static_cast<std::uint16_t>(sign | infinity | (1 << (mantissa - 1)));
    const double magnitude = std::fabs(value);
    if (std::isinf(value)) return static_cast<std::uint16_t>(sign | infinity);
    if (magnitude < std::ldexp(1.0, 1 - bias)) {
        // Below the smallest normal number all are multiples of one step; the smallest normal one follows them.
        const double steps = std::nearbyint(std::ldexp(magnitude, mantissa - 1 + bias));
        return static_cast<std::uint16_t>(sign | static_cast<std::uint16_t>(steps));
    }
    const int dropped = 52 - mantissa;
    const std::uint64_t own = bits & (~std::uint64_t{0} >> 1);
    const std::uint64_t half = std::uint64_t{1} << (dropped - 1);
    const std::uint64_t rounded = (own + half - 1 + ((own >> dropped) & 1)) >> dropped;
    // From one bias to the other; what is too large is infinite.
    const std::uint64_t moved = rounded - (std::uint64_t(1023 - bias) << mantissa);
    return static_cast<std::uint16_t>(sign | std::min<std::uint64_t>(moved, infinity));
}

inline double widened(std::uint16_t bits, int mantissa, int exponent) {
    const int bias = (1 << (exponent - 1)) - 1;
    const int fraction = bits & ((1 << mantissa) - 1);
    const int power = (bits >> mantissa) & ((1 << exponent) - 1);
    double value;
    if (power == (1 << exponent) - 1) {
        value = fraction ? std::numeric_limits<double>::quiet_NaN() : std::numeric_limits<double>::infinity();
    } else if (power == 0) {
        value = std::ldexp(static_cast<double>(fraction), 1 - bias - mantissa);
    } else {
        value = std::ldexp(static_cast<double>(fraction + (1 << mantissa)), power - bias - mantissa);
    }
    return bits >> 15 ? -value : value;
}

template <class T>
T load(const std::uint8_t* from) {
    T value;
    std::memcpy(&value, from, sizeof(T));
    return value;
}

template <class T>
void store(std::uint8_t* to, T value) {
    std::memcpy(to, &value, sizeof(T));
}

inline double number_at(DType dtype, const std::uint8_t* from) {
    switch (dtype) {
        case DType::f16: return widened(load<std::uint16_t>(from), 10, 5);
        case DType::bf16: return widened(load<std::uint16_t>(from), 7, 8);
        case DType::f32: return static_cast<double>(load<float>(from));
        case DType::f64: return load<double>(from);
        case DType::i64: return static_cast<double>(load<std::int64_t>(from));
    }
    return 0;
}

inline std::int64_t whole(double value) {
    if (!(std::fabs(value) < 9223372036854775808.0)) return std::numeric_limits<std::int64_t>::min();
    return static_cast<std::int64_t>(value);
}

inline void put_number(DType dtype, std::uint8_t* to, double value) {
    switch (dtype) {
        case DType::f16: return store(to, narrowed(value, 10, 5));
        case DType::bf16: return store(to, narrowed(value, 7, 8));
        case DType::f32: return store(to, static_cast<float>(value));
        case DType::f64: return store(to, value);
        case DType::i64: return store(to, whole(value));
    }
}

}  // namespace detail

// Elements of one type, without a bit lost. They may lie in memory otherwise than one after the other: element
// (i, j, …) begins at `data() + (i * strides()[0] + j * strides()[1] + …) * size`.
class Tensor {
public:
    // Elements that lie one after the other, the last dimension fastest.
    Tensor(DType dtype, Shape shape, std::vector<std::uint8_t> bytes)
        : dtype_(dtype), shape_(std::move(shape)), bytes_(std::move(bytes)) {
        const auto count = detail::count_of(shape_);
        if (!count || *count * info(dtype).size != bytes_.size()) {
            throw std::invalid_argument(std::to_string(bytes_.size()) + " bytes are no " + info(dtype).name + " tensor of shape " +
                             text_of(shape_));
        }
        count_ = *count;
        strides_ = contiguous_strides();
    }

    // Numbers, each rounded once to the type, to nearest, ties to even.
    static Tensor rounded(DType dtype, Shape shape, const std::vector<double>& values) {
        const std::size_t size = info(dtype).size;
        std::vector<std::uint8_t> bytes(values.size() * size);
        for (std::size_t i = 0; i < values.size(); ++i) detail::put_number(dtype, bytes.data() + i * size, values[i]);
        return Tensor(dtype, std::move(shape), std::move(bytes));
    }

    // The same number everywhere.
    static Tensor full(DType dtype, const Shape& shape, double value) {
        const auto count = detail::count_of(shape);
        if (!count) throw std::length_error("no memory holds a tensor of shape " + text_of(shape));
        return rounded(dtype, shape, std::vector<double>(*count, value));
    }

    // A count, as PyTorch keeps it.
    static Tensor counter(std::int64_t count) {
        std::vector<std::uint8_t> bytes(sizeof(count));
        detail::store(bytes.data(), count);
        return Tensor(DType::i64, {}, std::move(bytes));
    }

    DType dtype() const { return dtype_; }
    const Shape& shape() const { return shape_; }
    std::size_t rank() const { return shape_.size(); }
    std::size_t size() const { return count_; }
    bool empty() const { return count_ == 0; }
    const Shape& strides() const { return strides_; }
    const std::uint8_t* data() const { return bytes_.data() + offset_ * info(dtype_).size; }

    // The numbers, exactly (those of i64 rounded), the last dimension fastest, however they lie.
    std::vector<double> values() const {
        std::vector<double> values;
        values.reserve(count_);
        each([&](const std::uint8_t* element) { values.push_back(detail::number_at(dtype_, element)); });
        return values;
    }

    // The elements one after the other.
    std::vector<std::uint8_t> bytes() const {
        const std::size_t size = info(dtype_).size;
        std::vector<std::uint8_t> bytes;
        bytes.reserve(count_ * size);
        each([&](const std::uint8_t* element) { bytes.insert(bytes.end(), element, element + size); });
        return bytes;
    }

    // The same numbers in another type, each rounded once.
    Tensor cast(DType to) const { return to == dtype_ ? *this : rounded(to, shape_, values()); }

    // The same elements, lying in memory as a case asks for.
    Tensor laid_out(std::string_view layout) const {
        const std::size_t rank = shape_.size();
        Tensor out(dtype_, shape_, bytes());
        if (layout == "contiguous" || rank == 0) return out;
        std::size_t room = count_;
        if (layout == "channels_last" && rank > 1) {
            std::size_t step = shape_[1];
            for (std::size_t d = rank; d-- > 2;) {
                out.strides_[d] = step;
                step *= shape_[d];
            }
            out.strides_[0] = step;
            out.strides_[1] = 1;
        } else if (layout == "permuted") {
            std::size_t step = 1;
            for (std::size_t d = 0; d < rank; ++d) {
                out.strides_[d] = step;
                step *= shape_[d];
            }
        } else if (layout == "sliced") {
            // A window into a larger one; whoever reads beside it computes with NaN, and is seen.
            room = 1;
            for (std::size_t d = rank; d-- > 0;) {
                out.strides_[d] = room;
                out.offset_ += room;
                room *= shape_[d] + 2;
            }
        } else if (layout == "expanded" && shape_[0] > 0) {
            // All samples are the first.
            out.strides_[0] = 0;
            room = count_ / shape_[0];
        }
        const std::size_t size = info(dtype_).size;
        std::vector<std::uint8_t> elements = std::move(out.bytes_);
        out.bytes_.assign(room * size, 0);
        if (dtype_ != DType::i64) {
            const double around = std::numeric_limits<double>::quiet_NaN();
            for (std::size_t i = 0; i < room; ++i) detail::put_number(dtype_, out.bytes_.data() + i * size, around);
        }
        const std::uint8_t* next = elements.data();
        std::uint8_t* const first = out.bytes_.data() + out.offset_ * size;
        out.each([&](const std::uint8_t* element) {
            std::memcpy(first + (element - first), next, size);
            next += size;
        });
        return out;
    }

private:
    Shape contiguous_strides() const {
        Shape strides(shape_.size());
        std::size_t step = 1;
        for (std::size_t d = shape_.size(); d-- > 0;) {
            strides[d] = step;
            step *= shape_[d];
        }
        return strides;
    }

    // Each element's place, the last dimension fastest.
    template <class Do>
    void each(Do&& use) const {
        if (count_ == 0) return;
        const std::size_t size = info(dtype_).size;
        Shape index(shape_.size(), 0);
        std::size_t at = offset_;
        for (;;) {
            use(bytes_.data() + at * size);
            std::size_t d = shape_.size();
            for (;;) {
                if (d == 0) return;
                --d;
                at += strides_[d];
                if (++index[d] < shape_[d]) break;
                at -= strides_[d] * shape_[d];
                index[d] = 0;
            }
        }
    }

    DType dtype_;
    Shape shape_;
    Shape strides_;
    std::size_t count_ = 0;
    std::size_t offset_ = 0;
    std::vector<std::uint8_t> bytes_;
};

using Tensors = std::vector<std::pair<std::string, Tensor>>;

// ------------------------------------------------------------------------------------------------------------ JSON

// A value of JSON. Numbers are kept as they are written; an object keeps its keys' order.
class Json {
public:
    using List = std::vector<Json>;
    using Object = std::vector<std::pair<std::string, Json>>;

    Json() : value_(nullptr) {}
    Json(bool value) : value_(value) {}
    Json(std::string value) : value_(std::move(value)) {}
    Json(const char* value) : value_(std::string(value)) {}
    Json(std::int64_t value) : value_(Number{std::to_string(value)}) {}
    Json(std::uint64_t value) : value_(Number{std::to_string(value)}) {}
    Json(List value) : value_(std::move(value)) {}
    Json(Object value) : value_(std::move(value)) {}

    // Reads a text that is one value and nothing else.
    static Json parse(std::string_view text) {
        Parser parser{text};
        Json value = parser.value(0);
        parser.spaces();
        if (parser.at != text.size()) parser.wrong("something follows the value");
        return value;
    }

    std::string dump() const {
        std::string out;
        dump_to(out);
        return out;
    }

    bool is_null() const { return std::holds_alternative<std::nullptr_t>(value_); }
    bool as_bool() const { return of_kind<bool>("true or false"); }
    const std::string& as_string() const { return of_kind<std::string>("a string"); }
    const List& as_list() const { return of_kind<List>("a list"); }
    const Object& as_object() const { return of_kind<Object>("an object"); }

    double as_double() const {
        // In the locale "C", which a program is in unless it asks for another, this rounds correctly.
        const double value = std::strtod(of_kind<Number>("a number").text.c_str(), nullptr);
        if (!std::isfinite(value)) throw FrameError("a number is too large for a float64");
        return value;
    }

    std::int64_t as_int() const { return as_whole<std::int64_t>(std::strtoll); }
    std::uint64_t as_unsigned() const {
        if (of_kind<Number>("a number").text[0] == '-') throw FrameError("a number is below 0");
        return as_whole<std::uint64_t>(std::strtoull);
    }

    // The value of a key that has to be there, and of one that need not.
    const Json& at(std::string_view key) const {
        if (const Json* found = find(key)) return *found;
        throw FrameError("the key `" + std::string(key) + "` is missing");
    }
    const Json* find(std::string_view key) const {
        for (const auto& [name, value] : as_object()) {
            if (name == key) return &value;
        }
        return nullptr;
    }

    // Whether both say the same, in whatever order an object has its keys. Numbers are compared as such.
    friend bool operator==(const Json& a, const Json& b) {
        if (a.value_.index() != b.value_.index()) return false;
        if (const auto* object = std::get_if<Object>(&a.value_)) {
            const auto& other = std::get<Object>(b.value_);
            return object->size() == other.size() && std::all_of(object->begin(), object->end(), [&](const auto& entry) {
                       const Json* found = b.find(entry.first);
                       return found && entry.second == *found;
                   });
        }
        if (std::holds_alternative<Number>(a.value_)) return a.as_double() == b.as_double();
        if (const auto* list = std::get_if<List>(&a.value_)) return *list == std::get<List>(b.value_);
        if (const auto* text = std::get_if<std::string>(&a.value_)) return *text == std::get<std::string>(b.value_);
        if (const auto* truth = std::get_if<bool>(&a.value_)) return *truth == std::get<bool>(b.value_);
        return true;
    }

private:
    struct Number {
        std::string text;
    };

    template <class Kind>
    const Kind& of_kind(const char* due) const {
        if (const Kind* value = std::get_if<Kind>(&value_)) return *value;
        throw FrameError(std::string("in the message ") + due + " is due where there is something else: " + dump());
    }

    template <class Whole, class Convert>
    Whole as_whole(Convert convert) const {
        const std::string& text = of_kind<Number>("a number").text;
        char* end = nullptr;
        errno = 0;
        const auto value = convert(text.c_str(), &end, 10);
        if (errno == ERANGE || *end != '\0') throw FrameError("`" + text + "` is no whole number of 64 bits");
        return static_cast<Whole>(value);
    }

    void dump_to(std::string& out) const {
        if (const auto* number = std::get_if<Number>(&value_)) {
            out += number->text;
        } else if (const auto* text = std::get_if<std::string>(&value_)) {
            quote(*text, out);
        } else if (const auto* truth = std::get_if<bool>(&value_)) {
            out += *truth ? "true" : "false";
        } else if (const auto* list = std::get_if<List>(&value_)) {
            out += '[';
            for (std::size_t i = 0; i < list->size(); ++i) {
                if (i > 0) out += ',';
                (*list)[i].dump_to(out);
            }
            out += ']';
        } else if (const auto* object = std::get_if<Object>(&value_)) {
            out += '{';
            bool first = true;
            for (const auto& [key, value] : *object) {
                if (!first) out += ',';
                first = false;
                quote(key, out);
                out += ':';
                value.dump_to(out);
            }
            out += '}';
        } else {
            out += "null";
        }
    }

    static void quote(std::string_view text, std::string& out) {
        out += '"';
        for (const char c : text) {
            switch (c) {
                case '"': out += "\\\""; break;
                case '\\': out += "\\\\"; break;
                case '\b': out += "\\b"; break;
                case '\f': out += "\\f"; break;
                case '\n': out += "\\n"; break;
                case '\r': out += "\\r"; break;
                case '\t': out += "\\t"; break;
                default:
                    if (static_cast<unsigned char>(c) < 0x20) {
                        char escaped[8];
                        std::snprintf(escaped, sizeof(escaped), "\\u%04x", static_cast<unsigned>(c));
                        out += escaped;
                    } else {
                        out += c;
                    }
            }
        }
        out += '"';
    }

    struct Parser {
        std::string_view text;
        std::size_t at = 0;

        static constexpr int DEEPEST = 64;

        [[noreturn]] void wrong(const char* what) const {
            throw FrameError("byte " + std::to_string(at) + " of the JSON: " + what);
        }

        char peek() const { return at < text.size() ? text[at] : '\0'; }

        bool take(char c) {
            if (at >= text.size() || text[at] != c) return false;
            ++at;
            return true;
        }

        void expect(char c, const char* what) {
            if (!take(c)) wrong(what);
        }

        void spaces() {
            while (at < text.size() && (text[at] == ' ' || text[at] == '\n' || text[at] == '\r' || text[at] == '\t')) ++at;
        }

        Json value(int depth) {
            if (depth > DEEPEST) wrong("it is nested too deeply");
            spaces();
            switch (peek()) {
                case '{': return object(depth);
                case '[': return list(depth);
                case '"': return string();
                case 't': return word("true", Json(true));
                case 'f': return word("false", Json(false));
                case 'n': return word("null", Json());
                default: return number();
            }
        }

        Json word(std::string_view word, Json value) {
            if (text.substr(at, word.size()) != word) wrong("a value is due");
            at += word.size();
            return value;
        }

        Json object(int depth) {
            ++at;
            Object object;
            std::set<std::string> names;
            spaces();
            if (take('}')) return object;
            do {
                spaces();
                if (peek() != '"') wrong("a key is due");
                std::string name = string();
                if (!names.insert(name).second) wrong("a key stands there twice");
                spaces();
                expect(':', "a colon is due");
                object.emplace_back(std::move(name), value(depth + 1));
                spaces();
            } while (take(','));
            expect('}', "the end of an object is due");
            return object;
        }

        Json list(int depth) {
            ++at;
            List list;
            spaces();
            if (take(']')) return list;
            do {
                list.push_back(value(depth + 1));
                spaces();
            } while (take(','));
            expect(']', "the end of a list is due");
            return list;
        }

        bool digit() const { return peek() >= '0' && peek() <= '9'; }

        void digits() {
            if (!digit()) wrong("a digit is due");
            while (digit()) ++at;
        }

        Json number() {
            const std::size_t begin = at;
            take('-');
            if (!digit()) wrong("a value is due");
            if (!take('0')) digits();
            if (take('.')) digits();
            if (take('e') || take('E')) {
                if (!take('+')) take('-');
                digits();
            }
            Json json;
            json.value_ = Number{std::string(text.substr(begin, at - begin))};
            return json;
        }

        unsigned four_digits() {
            unsigned code = 0;
            for (int i = 0; i < 4; ++i, ++at) {
                const char c = peek();
                const bool letter = (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
                if (!letter && !digit()) wrong("four hexadecimal digits are due");
                code = code * 16 + static_cast<unsigned>(letter ? (c | 0x20) - 'a' + 10 : c - '0');
            }
            return code;
        }

        std::string string() {
            ++at;
            std::string out;
            for (;;) {
                if (at >= text.size()) wrong("a string has no end");
                const auto c = static_cast<unsigned char>(text[at]);
                if (c == '"') {
                    ++at;
                    return out;
                }
                if (c < 0x20) wrong("a control character stands in a string");
                if (c == '\\') {
                    ++at;
                    escape(out);
                } else {
                    character(out);
                }
            }
        }

        void escape(std::string& out) {
            static constexpr std::string_view FROM = "\"\\/bfnrt", TO = "\"\\/\b\f\n\r\t";
            const char c = peek();
            if (at >= text.size()) wrong("a string has no end");
            ++at;
            if (const auto which = FROM.find(c); which != std::string_view::npos) {
                out += TO[which];
                return;
            }
            if (c != 'u') wrong("there is no such escape");
            std::uint32_t code = four_digits();
            if (code >= 0xD800 && code < 0xDC00) {
                if (!take('\\') || !take('u')) wrong("half a pair of surrogates stands alone");
                const unsigned low = four_digits();
                if (low < 0xDC00 || low > 0xDFFF) wrong("half a pair of surrogates stands alone");
                code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
            } else if (code >= 0xDC00 && code < 0xE000) {
                wrong("half a pair of surrogates stands alone");
            }
            put(code, out);
        }

        static void put(std::uint32_t code, std::string& out) {
            const auto tail = [&](int shift) { out += static_cast<char>(0x80 | ((code >> shift) & 0x3F)); };
            if (code < 0x80) {
                out += static_cast<char>(code);
            } else if (code < 0x800) {
                out += static_cast<char>(0xC0 | (code >> 6));
                tail(0);
            } else if (code < 0x10000) {
                out += static_cast<char>(0xE0 | (code >> 12));
                tail(6), tail(0);
            } else {
                out += static_cast<char>(0xF0 | (code >> 18));
                tail(12), tail(6), tail(0);
            }
        }

        // One character, if it is one of UTF-8.
        void character(std::string& out) {
            const auto first = static_cast<unsigned char>(text[at]);
            std::size_t length = 1;
            if (first >= 0x80) length = first < 0xC2 || first > 0xF4 ? 0 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
            if (length == 0 || text.size() - at < length) wrong("the text is not UTF-8");
            std::uint32_t code = length == 1 ? first : first & (0xFFu >> (length + 1));
            for (std::size_t i = 1; i < length; ++i) {
                const auto next = static_cast<unsigned char>(text[at + i]);
                if ((next & 0xC0) != 0x80) wrong("the text is not UTF-8");
                code = code << 6 | (next & 0x3F);
            }
            const bool shorter = (length == 3 && code < 0x800) || (length == 4 && code < 0x10000);
            if (shorter || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) wrong("the text is not UTF-8");
            out.append(text, at, length);
            at += length;
        }
    };

    std::variant<std::nullptr_t, bool, Number, std::string, List, Object> value_;
};

// ---------------------------------------------------------------------------------------------------------- frames

// A message and the tensors that it speaks of.
struct Message {
    Json json;
    Tensors tensors;
};

constexpr std::uint64_t MAX_FRAME_BYTES = std::uint64_t{1} << 31;
constexpr std::uint64_t MAX_HEADER_BYTES = 100'000'000;

// A frame, its length in front.
inline std::vector<std::uint8_t> pack(const Message& message) {
    Json::Object header{{"__metadata__", Json(Json::Object{{"bncheck", Json(message.json.dump())}})}};
    std::vector<std::uint8_t> data;
    std::set<std::string> names;
    for (const auto& [name, tensor] : message.tensors) {
        if (!names.insert(name).second) throw FrameError("two tensors are called `" + name + "`");
        const std::uint64_t begin = data.size();
        const auto bytes = tensor.bytes();
        data.insert(data.end(), bytes.begin(), bytes.end());
        Json::List shape;
        for (const std::size_t size : tensor.shape()) shape.emplace_back(static_cast<std::uint64_t>(size));
        header.emplace_back(name, Json(Json::Object{
                                      {"dtype", Json(info(tensor.dtype()).stored_as)},
                                      {"shape", Json(std::move(shape))},
                                      {"data_offsets", Json(Json::List{Json(begin), Json(std::uint64_t{data.size()})})},
                                  }));
    }
    std::string text = Json(std::move(header)).dump();
    // The tensors begin at a multiple of 8.
    text.append((8 - text.size() % 8) % 8, ' ');
    const std::uint64_t length = 8 + text.size() + data.size();
    if (length > MAX_FRAME_BYTES) throw FrameError("a frame of " + std::to_string(length) + " bytes is too large");
    std::vector<std::uint8_t> frame;
    frame.reserve(4 + length);
    for (int i = 0; i < 4; ++i) frame.push_back(static_cast<std::uint8_t>(length >> 8 * i));
    for (int i = 0; i < 8; ++i) frame.push_back(static_cast<std::uint8_t>(std::uint64_t{text.size()} >> 8 * i));
    frame.insert(frame.end(), text.begin(), text.end());
    frame.insert(frame.end(), data.begin(), data.end());
    return frame;
}

// Reads a frame, which is given without its length.
inline Message unpack(const std::vector<std::uint8_t>& frame) {
    if (frame.size() < 8) throw FrameError("a frame of " + std::to_string(frame.size()) + " bytes is too short");
    std::uint64_t length = 0;
    for (int i = 8; i-- > 0;) length = length << 8 | frame[static_cast<std::size_t>(i)];
    if (length > MAX_HEADER_BYTES || length > frame.size() - 8) {
        throw FrameError("its header of " + std::to_string(length) + " bytes does not fit a frame of " +
                         std::to_string(frame.size()));
    }
    const char* text = reinterpret_cast<const char*>(frame.data() + 8);
    const Json header = Json::parse(std::string_view(text, static_cast<std::size_t>(length)));
    const std::uint8_t* data = frame.data() + 8 + length;
    const std::uint64_t data_size = frame.size() - 8 - length;
    struct Entry {
        std::uint64_t begin, end;
        const std::string* name;
        const Json* json;
    };
    std::vector<Entry> entries;
    for (const auto& [name, entry] : header.as_object()) {
        if (name == "__metadata__") continue;
        const auto& offsets = entry.at("data_offsets").as_list();
        if (offsets.size() != 2 || entry.as_object().size() != 3) {
            throw FrameError("the tensor `" + name + "` has other fields than dtype, shape and two data_offsets");
        }
        entries.push_back({offsets[0].as_unsigned(), offsets[1].as_unsigned(), &name, &entry});
    }
    std::sort(entries.begin(), entries.end(),
              [](const Entry& a, const Entry& b) { return std::pair(a.begin, a.end) < std::pair(b.begin, b.end); });
    Message message{Json::parse(header.at("__metadata__").at("bncheck").as_string()), {}};
    std::uint64_t due = 0;
    for (const auto& [begin, end, name, json] : entries) {
        if (begin != due || end < begin || end > data_size) {
            throw FrameError("the bytes of tensor `" + *name + "` are " + std::to_string(begin) + " to " +
                             std::to_string(end) + ", where they should begin at " + std::to_string(due));
        }
        const std::string& stored_as = json->at("dtype").as_string();
        const auto* dtype = std::find_if(std::begin(DTYPES), std::end(DTYPES),
                                         [&](const DTypeInfo& one) { return stored_as == one.stored_as; });
        if (dtype == std::end(DTYPES)) throw FrameError("`" + *name + "` is of an unknown type");
        Shape shape;
        for (const auto& size : json->at("shape").as_list()) {
            shape.push_back(static_cast<std::size_t>(size.as_unsigned()));
        }
        try {
            message.tensors.emplace_back(
                *name, Tensor(dtype->dtype, std::move(shape), std::vector<std::uint8_t>(data + begin, data + end)));
        } catch (const std::invalid_argument& error) {
            throw FrameError("tensor `" + *name + "`: " + error.what());
        }
        due = end;
    }
    if (due != data_size) {
        throw FrameError("after the last tensor " + std::to_string(data_size - due) + " bytes are left over");
    }
    return message;
}

namespace detail {

// Reads up to so many bytes; fewer where the input ends.
inline void read_bytes(int from, std::vector<std::uint8_t>& into, std::size_t count) {
    // Grows with what arrives, so that a wrong length takes no memory.
    constexpr std::size_t AT_ONCE = std::size_t{1} << 20;
    while (count > 0) {
        const std::size_t have = into.size(), wanted = std::min(count, AT_ONCE);
        into.resize(have + wanted);
        const auto got = ::read(from, into.data() + have, wanted);
        into.resize(have + static_cast<std::size_t>(std::max<decltype(got)>(got, 0)));
        if (got == 0) return;
        if (got < 0 && errno != EINTR) throw FrameError(std::string("cannot read the pipe: ") + std::strerror(errno));
        if (got > 0) count -= static_cast<std::size_t>(got);
    }
}

inline void write_bytes(int to, const std::vector<std::uint8_t>& bytes) {
    for (std::size_t done = 0; done < bytes.size();) {
        const auto count = ::write(to, bytes.data() + done, bytes.size() - done);
        if (count < 0 && errno != EINTR) throw FrameError(std::string("cannot write to the pipe: ") + std::strerror(errno));
        if (count > 0) done += static_cast<std::size_t>(count);
    }
}

}  // namespace detail

// The next frame of a pipe, without its length; nothing at its end.
inline std::optional<std::vector<std::uint8_t>> read_frame(int from) {
    std::vector<std::uint8_t> bytes;
    detail::read_bytes(from, bytes, 4);
    if (bytes.empty()) return std::nullopt;
    if (bytes.size() < 4) throw FrameError("the pipe ended within a frame");
    std::uint64_t length = 0;
    for (int i = 4; i-- > 0;) length = length << 8 | bytes[static_cast<std::size_t>(i)];
    if (length > MAX_FRAME_BYTES) throw FrameError("a frame of " + std::to_string(length) + " bytes is too large");
    bytes.clear();
    detail::read_bytes(from, bytes, static_cast<std::size_t>(length));
    if (bytes.size() < length) throw FrameError("the pipe ended within a frame");
    return bytes;
}

// --------------------------------------------------------------------------------------- what a backend derives from

// The arguments of `torch.nn.BatchNorm{1,2,3}d`, and what a layer's tensors hold; what is not given stays as the
// constructor leaves it.
struct LayerConfig {
    std::string path;
    // BatchNorm1d, BatchNorm2d or BatchNorm3d.
    std::string kind;
    std::size_t features = 0;
    double eps = 1e-5;
    std::optional<double> momentum;
    bool affine = true;
    bool track_running_stats = true;
    // Of weight and bias, and of the running statistics.
    DType dtype = DType::f32;
    DType statistics_dtype = DType::f32;
    std::optional<Tensor> weight, bias, running_mean, running_var;
    std::optional<std::int64_t> num_batches_tracked;
};

// Everything that can be seen of a layer, or the gradients of its parameters; what is not there has no value.
struct LayerState {
    std::optional<Tensor> running_mean, running_var, weight, bias;
    std::optional<std::int64_t> num_batches_tracked;
};

struct ParameterGradients {
    std::optional<Tensor> weight, bias;
};

// An assignment to an attribute: a tensor or nothing to `weight`, `bias`, `running_mean` and `running_var`, a number or
// nothing to the others.
struct Setting {
    std::string name;
    std::optional<Tensor> tensor;
    // Of `momentum` and `eps`.
    std::optional<double> number;
    // Of `track_running_stats`.
    bool flag = false;
    // Of `num_batches_tracked`.
    std::optional<std::int64_t> count;
};

// The names of what did not fit a state dictionary.
struct Loaded {
    std::vector<std::string> missing, unexpected, misshapen;
};

// A layer with its own state. What your backend lacks need not be there.
class Layer {
public:
    virtual ~Layer() = default;

    // Training or evaluation mode.
    virtual void set_training(bool training) = 0;
    // The output, and whether it leads back to anything that requires a gradient. With `no_grad` no graph is kept.
    virtual std::pair<Tensor, bool> forward(const Tensor& x, bool requires_grad, bool no_grad) = 0;
    // Goes back from the latest output. The gradient of the input, that of this call alone, or nothing where none was
    // asked of it; those of weight and bias are added to what `gradients` gives. The graph stays.
    virtual std::optional<Tensor> backward(const Tensor& grad_output) = 0;
    // What has accumulated since `zero_grad`.
    virtual ParameterGradients gradients() const = 0;
    // Forgets it.
    virtual void zero_grad() = 0;
    // `p -= lr * p.grad` for weight and bias, where they have a gradient.
    virtual void sgd(double lr) = 0;
    // Everything that can be seen now.
    virtual LayerState state() const = 0;

    // Running mean 0, running variance 1, counter 0.
    virtual void reset_running_stats() { throw not_there("reset_running_stats"); }
    // An assignment.
    virtual void set(const Setting&) { throw not_there("set"); }
    // Whether `weight` or `bias` is trained. A layer that has neither need not do anything.
    virtual void set_requires_grad(const std::string&, bool) { throw not_there("set_requires_grad"); }
    // Converts those of its tensors that it has, and the gradients of its parameters with them.
    virtual void cast(const std::vector<std::string>&, DType) { throw not_there("cast"); }
    // Takes from a state dictionary, whose names are the layer's own, what fits, and says what does not.
    virtual Loaded load_state(const std::map<std::string, Tensor>&, std::int64_t) { throw not_there("load_state"); }

private:
    static std::logic_error not_there(const std::string& what) {
        return std::logic_error("this layer has no " + what + ", and its backend does not say that it lacks it");
    }
};

// A batch-norm implementation: who it is, and how its layers are made.
class Backend {
public:
    virtual ~Backend() = default;

    // Its short name, as the results show it; letters, digits and `-`.
    std::string name = "unnamed";
    // The version of what is judged.
    std::string version = "0";
    // What it is, in a sentence.
    std::string about;
    // The floating-point types that it computes with; none is all.
    std::vector<DType> dtypes;
    // What it cannot express, each with the reason: {"cast", "layers have one type for good"}.
    std::vector<std::pair<std::string, std::string>> lacks;
    // What cannot be seen of it, each with the reason: {"num_batches_tracked", "there is no counter"}.
    std::vector<std::pair<std::string, std::string>> unobservable;
    // Why there is nothing to judge, with what to type; empty: it is there.
    std::string absent;

    // Why this request cannot be expressed, beside `dtypes` and `lacks`.
    virtual std::optional<std::string> unsupported(const Json& /* request */) { return std::nullopt; }
    // A new layer in training mode.
    virtual std::unique_ptr<Layer> create(const LayerConfig& config) = 0;
    // The class of an exception that your implementation threw; nothing where it should not have been thrown.
    virtual std::optional<std::string> error_class(const std::exception&) { return std::nullopt; }

    bool shows(std::string_view tensor) const {
        return std::none_of(unobservable.begin(), unobservable.end(), [&](const auto& one) { return one.first == tensor; });
    }
};

// Numbers, which are rounded once to the type that is due, or a tensor of it.
using Numbers = std::variant<std::vector<double>, Tensor>;

// One call of a kernel's forward: the arguments of `torch.nn.functional.batch_norm`.
struct Forward {
    // Of shape (N, C, …); it lies in memory as the case asks for, and is never empty.
    const Tensor& input;
    // Gamma and beta, each of shape (C), or nothing.
    const Tensor* weight;
    const Tensor* bias;
    // Read when `use_batch_stats` is off. When it is on, they are to be moved: see below. Both are there, or neither.
    const Tensor* running_mean;
    const Tensor* running_var;
    // Whether to normalise with the batch's statistics.
    bool use_batch_stats;
    // The weight of the new batch in the running statistics.
    double factor;
    // Added to the variance inside the root.
    double eps;
    // What the running statistics have moved to; to be set where `use_batch_stats` is on and they are there.
    std::optional<Numbers> new_running_mean, new_running_var;
};

// What a forward gives: the output, and whatever `backward` is to be given.
struct Output {
    Numbers output;
    std::any saved;
};

// Which gradients are asked for; the others may be left out.
struct Wanted {
    bool input = false, weight = false, bias = false;

    bool any() const { return input || weight || bias; }
};

// The input's has the input's shape, the others (C).
struct Gradients {
    std::optional<Numbers> input, weight, bias;
};

// A batch norm without state of its own. The rules of PyTorch's module come around it: modes, counter, averaging factor,
// what is refused and how, gradients that accumulate, casts, state dictionaries, empty batches.
class Kernel : public Backend {
public:
    virtual Output forward(Forward& call) = 0;
    // The gradients that one backward gives, given that of the output, which lies in memory as the case asks for.
    virtual Gradients backward(const std::any& saved, const Tensor& grad_output, Wanted wanted) = 0;

    std::unique_ptr<Layer> create(const LayerConfig& config) final;
};

// ------------------------------------------------------------------------------------- from a kernel to a layer

namespace detail {

constexpr const char* COUNTER = "num_batches_tracked";
enum Slot { WEIGHT, BIAS, RUNNING_MEAN, RUNNING_VAR };
inline constexpr const char* SLOTS[] = {"weight", "bias", "running_mean", "running_var"};

inline std::optional<std::size_t> slot_called(std::string_view name) {
    for (std::size_t slot = 0; slot < 4; ++slot) {
        if (name == SLOTS[slot]) return slot;
    }
    return std::nullopt;
}

// What a kernel gave, as the tensor that is due.
inline Tensor due(Numbers numbers, DType dtype, const Shape& shape, const char* name) {
    const auto wrong = [&](const std::string& found) {
        return std::logic_error(std::string(name) + " " + found + ", where one of shape " + text_of(shape) + " is due");
    };
    if (auto* values = std::get_if<std::vector<double>>(&numbers)) {
        if (values->size() != detail::count_of(shape)) throw wrong("has " + std::to_string(values->size()) + " elements");
        return Tensor::rounded(dtype, shape, *values);
    }
    Tensor tensor = std::get<Tensor>(std::move(numbers));
    if (tensor.shape() != shape) throw wrong("has the shape " + text_of(tensor.shape()));
    return tensor;
}

// A gradient added to what is there, each sum rounded once.
inline Tensor accumulated(const std::optional<Tensor>& old, Tensor more) {
    if (!old) return more;
    auto sum = old->values();
    const auto other = more.values();
    for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += other[i];
    return Tensor::rounded(old->dtype(), old->shape(), sum);
}

// p - lr·g as `torch.optim.SGD` computes it: with lr in the type of the computation, and multiplication and addition
// fused.
inline Tensor descended(const Tensor& tensor, const Tensor& grad, double lr) {
    auto values = tensor.values();
    const auto slope = grad.values();
    for (std::size_t i = 0; i < values.size(); ++i) {
        values[i] = tensor.dtype() == DType::f64
                        ? std::fma(-lr, slope[i], values[i])
                        : std::fma(-static_cast<float>(lr), static_cast<float>(slope[i]), static_cast<float>(values[i]));
    }
    return Tensor::rounded(tensor.dtype(), tensor.shape(), values);
}

inline bool is_half(DType dtype) { return dtype == DType::f16 || dtype == DType::bf16; }

// Why PyTorch refuses an input of type `x` with weight, bias, running mean and running variance of these types, as
// measured with PyTorch 2.11 on the CPU.
inline std::optional<std::string> types_refused(DType x, const std::vector<DType>& present) {
    static constexpr const char* NAMES[] = {"Half", "BFloat16", "Float", "Double", "Long"};
    const auto called = [](DType dtype) { return std::string(NAMES[static_cast<std::size_t>(dtype)]); };
    if (x == DType::i64) return "\"batch_norm\" not implemented for i64";
    if (present.empty()) return std::nullopt;
    if (present[0] == x) {
        for (const DType dtype : present) {
            if (dtype != x) return "expected scalar type " + called(x) + " but found " + called(dtype);
        }
        return std::nullopt;
    }
    if (!is_half(x)) return "mixed dtype (CPU): all inputs must share same datatype.";
    for (const DType dtype : present) {
        if (dtype != DType::f32) return "mixed dtype (CPU): expect parameter to have scalar type of Float";
    }
    return std::nullopt;
}

// `torch.nn.BatchNorm{1,2,3}d` around a kernel. Sources: torch/nn/modules/batchnorm.py, torch/nn/modules/module.py and
// torch/nn/functional.py of PyTorch 2.11.
class ModuleLayer final : public Layer {
public:
    ModuleLayer(Kernel& kernel, const LayerConfig& config)
        : kernel_(kernel), kind_(config.kind), features_(config.features), eps_(config.eps), momentum_(config.momentum),
          track_(config.track_running_stats) {
        const std::optional<Tensor>* given[] = {&config.weight, &config.bias, &config.running_mean, &config.running_var};
        static constexpr double NEW[] = {1, 0, 0, 1};
        for (std::size_t slot = 0; slot < 4; ++slot) {
            types_[slot] = slot < 2 ? config.dtype : config.statistics_dtype;
            if (!(slot < 2 ? config.affine : track_)) continue;
            if (*given[slot]) check_shape(slot, **given[slot]);
            tensors_[slot] = *given[slot] ? (*given[slot])->cast(types_[slot])
                                          : Tensor::full(types_[slot], {features_}, NEW[slot]);
        }
        if (track_) counter_ = config.num_batches_tracked.value_or(0);
    }

    void set_training(bool training) override { training_ = training; }

    std::pair<Tensor, bool> forward(const Tensor& x, bool requires_grad, bool no_grad) override {
        // A step that fails leaves nothing to go back through.
        graph_.reset();
        const std::size_t rank = x.rank();
        const bool takes = kind_ == "BatchNorm1d" ? rank == 2 || rank == 3 : rank == (kind_ == "BatchNorm2d" ? 4u : 5u);
        if (!takes) throw LayerError("wrong_rank", kind_ + " takes no input of rank " + std::to_string(rank));
        // The counter moves first: a batch that is refused below has been counted.
        double factor = momentum_.value_or(0.0);
        if (training_ && track_ && counter_) {
            // As an int64 does.
            counter_ = static_cast<std::int64_t>(static_cast<std::uint64_t>(*counter_) + 1);
            if (!momentum_) factor = 1.0 / static_cast<double>(*counter_);
        }
        // Without buffers there are only the batch's statistics, in either mode.
        const bool use_batch_stats = training_ || (!tensors_[RUNNING_MEAN] && !tensors_[RUNNING_VAR]);
        check(x, use_batch_stats);
        const Tensor* handed[4];
        std::vector<DType> present;
        for (std::size_t slot = 0; slot < 4; ++slot) {
            handed[slot] = tensors_[slot] && (slot < 2 || hands_buffers()) ? &*tensors_[slot] : nullptr;
            if (handed[slot]) present.push_back(handed[slot]->dtype());
        }
        const auto refused = x.empty() ? std::nullopt : types_refused(x.dtype(), present);
        // The bias is looked at last: the statistics have moved by then.
        const auto is_x = [&](std::size_t slot) { return handed[slot] && handed[slot]->dtype() == x.dtype(); };
        const bool moves_first = use_batch_stats && x.dtype() != DType::i64 && is_x(WEIGHT) && is_x(RUNNING_MEAN) &&
                                 is_x(RUNNING_VAR) && handed[BIAS] && !is_x(BIAS);
        if (refused && !moves_first) throw LayerError("dtype_mismatch", *refused);
        const bool has_running = handed[RUNNING_MEAN] && handed[RUNNING_VAR];
        const DType output_dtype = x.dtype() != DType::i64 ? x.dtype()
                                   : handed[WEIGHT]        ? handed[WEIGHT]->dtype()
                                   : handed[BIAS]          ? handed[BIAS]->dtype()
                                                           : DType::i64;
        // An empty batch has no statistics and moves none.
        Tensor output = Tensor::full(output_dtype, x.empty() ? x.shape() : Shape{0}, 0.0);
        std::any saved;
        if (!x.empty()) {
            Forward call{x, handed[WEIGHT], handed[BIAS], has_running ? handed[RUNNING_MEAN] : nullptr,
                         has_running ? handed[RUNNING_VAR] : nullptr, use_batch_stats, factor, eps_, {}, {}};
            Output given = calling([&] { return kernel_.forward(call); });
            if (use_batch_stats && has_running) {
                move(RUNNING_MEAN, std::move(call.new_running_mean));
                move(RUNNING_VAR, std::move(call.new_running_var));
            }
            if (refused) throw LayerError("dtype_mismatch", *refused);
            output = due(std::move(given.output), output_dtype, x.shape(), "the output");
            saved = std::move(given.saved);
        }
        const Wanted wanted{requires_grad, is_trained(WEIGHT), is_trained(BIAS)};
        const bool leads_back = wanted.any() && !no_grad;
        if (leads_back) {
            graph_ = Graph{std::move(saved), wanted, {}, false, output_dtype, x.shape()};
            graph_->refers_to[WEIGHT] = handed[WEIGHT] != nullptr;
            graph_->refers_to[RUNNING_MEAN] = graph_->refers_to[RUNNING_VAR] = has_running && !x.empty();
        }
        return {std::move(output), leads_back};
    }

    std::optional<Tensor> backward(const Tensor& grad_output) override {
        if (!graph_) throw LayerError("no_graph", "there is no graph: the latest forward kept none");
        if (grad_output.shape() != graph_->shape) {
            throw FrameError("the gradient of an output of shape " + text_of(graph_->shape) + " has the shape " +
                             text_of(grad_output.shape()));
        }
        if (graph_->changed) {
            throw LayerError("graph_changed",
                             "one of the variables needed for gradient computation has been modified by an inplace operation");
        }
        // What required a gradient at the forward must still do so now.
        const Wanted wanted{graph_->wanted.input, graph_->wanted.weight && is_trained(WEIGHT),
                            graph_->wanted.bias && is_trained(BIAS)};
        if (!wanted.any() || !kernel_.shows("grad_input")) return std::nullopt;
        Gradients given;
        if (grad_output.empty()) {
            given.input = std::vector<double>(grad_output.size());
            given.weight = given.bias = std::vector<double>(features_);
        } else {
            given = calling([&] { return kernel_.backward(graph_->saved, grad_output, wanted); });
        }
        const auto of = [](std::optional<Numbers>& numbers, const char* name) {
            if (!numbers) throw std::logic_error(std::string(name) + " was asked for and is not there");
            return std::move(*numbers);
        };
        const auto add = [&](std::size_t slot, std::optional<Numbers>& grad, const char* name) {
            const Tensor& tensor = *tensors_[slot];
            grads_[slot] = accumulated(grads_[slot], due(of(grad, name), tensor.dtype(), tensor.shape(), name));
        };
        if (wanted.weight) add(WEIGHT, given.weight, "grad_weight");
        if (wanted.bias) add(BIAS, given.bias, "grad_bias");
        if (!wanted.input) return std::nullopt;
        return due(of(given.input, "grad_input"), graph_->output_dtype, graph_->shape, "grad_input");
    }

    ParameterGradients gradients() const override { return {grads_[WEIGHT], grads_[BIAS]}; }

    void zero_grad() override { grads_[WEIGHT] = grads_[BIAS] = std::nullopt; }

    void sgd(double lr) override {
        if (grads_[WEIGHT]) touch(WEIGHT);
        for (const std::size_t slot : {WEIGHT, BIAS}) {
            if (tensors_[slot] && grads_[slot]) tensors_[slot] = descended(*tensors_[slot], *grads_[slot], lr);
        }
    }

    void reset_running_stats() override {
        // The attribute decides, not whether there is anything to reset.
        if (!track_) return;
        for (const std::size_t slot : {RUNNING_MEAN, RUNNING_VAR}) {
            auto& tensor = tensors_[slot];
            if (!tensor) throw LayerError("missing_buffer", std::string(SLOTS[slot]) + " is None and cannot be reset");
            tensor = Tensor::full(tensor->dtype(), tensor->shape(), slot == RUNNING_MEAN ? 0 : 1);
            touch(slot);
        }
        if (!counter_) throw LayerError("missing_buffer", std::string(COUNTER) + " is None and cannot be reset");
        counter_ = 0;
    }

    void set(const Setting& setting) override {
        if (const auto slot = slot_called(setting.name)) return set_tensor(*slot, setting.tensor);
        // The buffers stay as they are, or stay away.
        if (setting.name == "track_running_stats") track_ = setting.flag;
        if (setting.name == COUNTER) counter_ = setting.count;
        if (setting.name == "momentum") momentum_ = setting.number;
        if (setting.name == "eps") eps_ = setting.number.value_or(eps_);
    }

    void set_requires_grad(const std::string& name, bool required) override {
        requires_grad_[name == SLOTS[WEIGHT] ? WEIGHT : BIAS] = required;
    }

    void cast(const std::vector<std::string>& names, DType to) override {
        for (const auto& name : names) {
            const auto slot = slot_called(name);
            if (!slot) continue;
            if (tensors_[*slot]) tensors_[*slot] = tensors_[*slot]->cast(to);
            if (*slot < 2 && grads_[*slot]) grads_[*slot] = grads_[*slot]->cast(to);
        }
    }

    Loaded load_state(const std::map<std::string, Tensor>& entries, std::int64_t version) override {
        Loaded loaded;
        std::set<std::string> known;
        const auto entry = [&](const char* name) {
            const auto found = entries.find(name);
            return found == entries.end() ? nullptr : &found->second;
        };
        for (std::size_t slot = 0; slot < 4; ++slot) {
            auto& held = tensors_[slot];
            if (!held) continue;
            known.insert(SLOTS[slot]);
            const Tensor* tensor = entry(SLOTS[slot]);
            if (!tensor) {
                loaded.missing.emplace_back(SLOTS[slot]);
            } else if (tensor->shape() != held->shape()) {
                loaded.misshapen.emplace_back(SLOTS[slot]);
            } else {
                held = tensor->cast(held->dtype());
                touch(slot);
            }
        }
        // Dictionaries from before version 2 have no counter; a layer that tracks keeps the one it has.
        const bool excused = version < 2 && track_;
        const Tensor* tensor = entry(COUNTER);
        if (counter_) {
            known.insert(COUNTER);
            if (!tensor) {
                if (!excused) loaded.missing.emplace_back(COUNTER);
            } else if (tensor->shape().empty() || tensor->shape() == Shape{1}) {
                // One of shape (1), as before PyTorch 0.4, goes as well.
                counter_ = tensor->dtype() == DType::i64 ? load<std::int64_t>(tensor->bytes().data())
                                                         : whole(tensor->values()[0]);
            } else {
                loaded.misshapen.emplace_back(COUNTER);
            }
        } else if (!tensor && excused) {
            // Where the layer has none either, it is given one, which then is an entry too many.
            loaded.unexpected.emplace_back(COUNTER);
        }
        for (const auto& [name, value] : entries) {
            if (!known.count(name)) loaded.unexpected.push_back(name);
        }
        return loaded;
    }

    LayerState state() const override {
        return {tensors_[RUNNING_MEAN], tensors_[RUNNING_VAR], tensors_[WEIGHT], tensors_[BIAS], counter_};
    }

private:
    // The graph of the latest forward.
    struct Graph {
        std::any saved;
        // What required a gradient at the forward.
        Wanted wanted;
        // The tensors of the layer that it refers to, and that must not be changed in place, by slot; whether one was.
        bool refers_to[4];
        bool changed;
        DType output_dtype;
        Shape shape;
    };

    // Whether the buffers are handed to the kernel: in training only to be moved.
    bool hands_buffers() const { return !training_ || track_; }

    bool is_trained(std::size_t slot) const { return tensors_[slot] && requires_grad_[slot]; }

    // Notes that a tensor was changed in place.
    void touch(std::size_t slot) {
        if (graph_ && graph_->refers_to[slot]) graph_->changed = true;
    }

    void move(std::size_t slot, std::optional<Numbers> to) {
        if (!to) throw std::logic_error(std::string("the kernel has not moved ") + SLOTS[slot]);
        tensors_[slot] = due(std::move(*to), tensors_[slot]->dtype(), tensors_[slot]->shape(), SLOTS[slot]);
    }

    void set_tensor(std::size_t slot, const std::optional<Tensor>& tensor) {
        if (graph_) {
            // The graph keeps what it refers to; what happens to the new tensor is nothing to it.
            graph_->refers_to[slot] = false;
            if (slot == WEIGHT) graph_->wanted.weight = false;
            if (slot == BIAS) graph_->wanted.bias = false;
        }
        if (tensor) check_shape(slot, *tensor);
        tensors_[slot] = tensor ? std::optional(tensor->cast(types_[slot])) : std::nullopt;
        if (slot < 2) {
            grads_[slot] = std::nullopt;
            requires_grad_[slot] = true;
        }
    }

    // No request has others: a kernel need not look.
    void check_shape(std::size_t slot, const Tensor& tensor) const {
        if (tensor.shape() == Shape{features_}) return;
        throw FrameError(std::string(SLOTS[slot]) + " of a layer of " + std::to_string(features_) +
                         " features has the shape " + text_of(tensor.shape()));
    }

    // What PyTorch refuses before and within its kernel. The counter has moved by then.
    void check(const Tensor& x, bool use_batch_stats) const {
        std::size_t values = x.shape()[0];
        for (std::size_t d = 2; d < x.rank(); ++d) values *= x.shape()[d];
        if (use_batch_stats && values == 1) {
            throw LayerError("one_value_per_channel",
                             "Expected more than 1 value per channel when training, got input size " + text_of(x.shape()));
        }
        if (eps_ <= 0) throw LayerError("eps_not_positive", "batch_norm eps must be positive, but got " + std::to_string(eps_));
        const bool has_parameters = tensors_[WEIGHT] || tensors_[BIAS];
        // An empty input is scaled by the first weight and moved by the first bias, which must be there, and nothing else
        // is looked at.
        if (x.empty() || features_ == 0) {
            if (has_parameters && features_ == 0) {
                throw LayerError("no_channels", "select(): index 0 out of range for tensor of size [0] at dimension 0");
            }
            return;
        }
        const bool mean = hands_buffers() && tensors_[RUNNING_MEAN], var = hands_buffers() && tensors_[RUNNING_VAR];
        const bool sized = has_parameters || mean || var;
        if (sized && x.shape()[1] != features_ && (use_batch_stats || mean)) {
            throw LayerError("wrong_features", std::to_string(x.shape()[1]) + " channels for a layer of " +
                                                   std::to_string(features_) + " features");
        }
        if (mean != var) {
            throw LayerError("missing_buffer",
                             use_batch_stats ? "running_mean and running_var must either both be None or neither be None"
                                             : std::string("running_") + (mean ? "var" : "mean") +
                                                   " must be defined in evaluation mode");
        }
    }

    Kernel& kernel_;
    std::string kind_;
    std::size_t features_;
    double eps_;
    std::optional<double> momentum_;
    bool track_;
    bool training_ = true;
    // By slot: the types that new tensors get, and what is there.
    DType types_[4];
    std::optional<Tensor> tensors_[4];
    std::optional<std::int64_t> counter_;
    // Of weight and bias.
    std::optional<Tensor> grads_[2];
    bool requires_grad_[2] = {true, true};
    std::optional<Graph> graph_;
};

}  // namespace detail

inline std::unique_ptr<Layer> Kernel::create(const LayerConfig& config) {
    return std::make_unique<detail::ModuleLayer>(*this, config);
}

// ------------------------------------------------------------------------------------------- models of several layers

namespace detail {

inline bool is_within(std::string_view part, std::string_view path) {
    return part.empty() || path == part ||
           (path.size() > part.size() && path.substr(0, part.size()) == part && path[part.size()] == '.');
}

inline std::string named(const std::string& path, const std::string& tensor) {
    return path.empty() ? tensor : path + "." + tensor;
}

inline std::string joined(const std::vector<std::string>& names) {
    std::string text;
    for (const auto& name : names) text += (text.empty() ? "" : ", ") + name;
    return text;
}

// A backend's own layer, of which all calls are measured but those that read it.
class MeasuredLayer final : public Layer {
public:
    explicit MeasuredLayer(std::unique_ptr<Layer> layer) : layer_(std::move(layer)) {}

    void set_training(bool training) override { calling([&] { layer_->set_training(training); }); }
    std::pair<Tensor, bool> forward(const Tensor& x, bool requires_grad, bool no_grad) override {
        return calling([&] { return layer_->forward(x, requires_grad, no_grad); });
    }
    std::optional<Tensor> backward(const Tensor& grad_output) override {
        return calling([&] { return layer_->backward(grad_output); });
    }
    ParameterGradients gradients() const override { return layer_->gradients(); }
    void zero_grad() override { calling([&] { layer_->zero_grad(); }); }
    void sgd(double lr) override { calling([&] { layer_->sgd(lr); }); }
    LayerState state() const override { return layer_->state(); }
    void reset_running_stats() override { calling([&] { layer_->reset_running_stats(); }); }
    void set(const Setting& setting) override { calling([&] { layer_->set(setting); }); }
    void set_requires_grad(const std::string& name, bool required) override {
        calling([&] { layer_->set_requires_grad(name, required); });
    }
    void cast(const std::vector<std::string>& names, DType to) override { calling([&] { layer_->cast(names, to); }); }
    Loaded load_state(const std::map<std::string, Tensor>& entries, std::int64_t version) override {
        return calling([&] { return layer_->load_state(entries, version); });
    }

private:
    std::unique_ptr<Layer> layer_;
};

// A request's layers, in the order in which a forward runs them, taken through its steps.
class Model {
public:
    Model(Backend& backend, const Json& layers, const Tensors& tensors) : backend_(backend) {
        for (const auto& [name, tensor] : tensors) tensors_.emplace(name, &tensor);
        for (const auto& layer : layers.as_list()) {
            const LayerConfig config = config_of(layer);
            leaves_.push_back({config.path, made(backend, config), {}, {}});
        }
    }

    // Takes a step; gives its own tensors by name.
    Tensors act(const Json& step) {
        for (const auto& [what, fields] : step.as_object()) {
            if (what == "modes") continue;
            const auto part = part_of(fields.find("at"));
            if (const Json* modes = step.find("modes")) {
                change_modes(*modes, what == "train" || what == "eval" ? part : std::vector<Leaf*>{});
                return {};
            }
            if (what == "forward") return forward(part, fields);
            if (what == "backward") return backward(fields);
            for (Leaf* leaf : part) {
                if (what == "zero_grad") leaf->layer->zero_grad();
                if (what == "sgd") leaf->layer->sgd(fields.at("lr").as_double());
                if (what == "reset_running_stats") leaf->layer->reset_running_stats();
                if (what == "cast") {
                    leaf->layer->cast(cast_by(fields.at("what").as_string()), dtype_called(fields.at("to").as_string()));
                }
                if (what == "set") set(*leaf, fields.at("settings"));
            }
            if (what == "save_state") save_state(part, fields);
            if (what == "load_state") load_state(part, fields);
            static const std::set<std::string> KNOWN{"zero_grad", "sgd",        "reset_running_stats", "cast",
                                                     "set",       "save_state", "load_state"};
            if (!KNOWN.count(what)) throw FrameError("there is no step `" + what + "`");
            return {};
        }
        throw FrameError("a step says nothing");
    }

    // The state of every layer.
    Tensors state() const {
        Tensors seen;
        for (const Leaf& leaf : leaves_) {
            const LayerState state = leaf.layer->state();
            const auto add = [&](const char* name, const std::optional<Tensor>& tensor) {
                if (tensor) seen.emplace_back(named(leaf.path, name), *tensor);
            };
            add("running_mean", state.running_mean);
            add("running_var", state.running_var);
            if (state.num_batches_tracked) add(COUNTER, Tensor::counter(*state.num_batches_tracked));
            add("weight", state.weight);
            add("bias", state.bias);
        }
        return seen;
    }

private:
    struct Modes {
        bool training = true, weight = true, bias = true;
    };

    struct Leaf {
        std::string path;
        std::unique_ptr<Layer> layer;
        Modes modes;
        // `.grad` of its latest input.
        std::optional<Tensor> grad_input;
    };

    // One layer of the latest forward: whether a gradient was asked of its input, and how that lay in memory.
    struct Run {
        Leaf* leaf;
        bool asked;
        std::string layout;
    };

    const Tensor& tensor_called(const std::string& name) const {
        const auto found = tensors_.find(name);
        if (found == tensors_.end()) throw FrameError("there is no tensor `" + name + "` in the frame");
        return *found->second;
    }

    std::optional<Tensor> tensor_of(const Json& name) const {
        return name.is_null() ? std::nullopt : std::optional(tensor_called(name.as_string()));
    }

    static std::unique_ptr<Layer> made(Backend& backend, const LayerConfig& config) {
        std::unique_ptr<Layer> layer = calling([&] { return backend.create(config); });
        // Of the module's rules around a kernel only the kernel is measured, where it is called.
        if (dynamic_cast<const ModuleLayer*>(layer.get())) return layer;
        return std::make_unique<MeasuredLayer>(std::move(layer));
    }

    LayerConfig config_of(const Json& layer) const {
        LayerConfig config;
        config.path = layer.at("path").as_string();
        config.kind = layer.at("kind").as_string();
        config.features = static_cast<std::size_t>(layer.at("features").as_unsigned());
        config.eps = layer.at("eps").as_double();
        if (!layer.at("momentum").is_null()) config.momentum = layer.at("momentum").as_double();
        config.affine = layer.at("affine").as_bool();
        config.track_running_stats = layer.at("track_running_stats").as_bool();
        config.dtype = dtype_called(layer.at("dtype").as_string());
        config.statistics_dtype = dtype_called(layer.at("statistics_dtype").as_string());
        config.weight = tensor_of(layer.at("weight"));
        config.bias = tensor_of(layer.at("bias"));
        config.running_mean = tensor_of(layer.at("running_mean"));
        config.running_var = tensor_of(layer.at("running_var"));
        if (!layer.at(COUNTER).is_null()) config.num_batches_tracked = layer.at(COUNTER).as_int();
        return config;
    }

    std::vector<Leaf*> part_of(const Json* at) {
        std::vector<Leaf*> part;
        for (Leaf& leaf : leaves_) {
            if (at && is_within(at->as_string(), leaf.path)) part.push_back(&leaf);
        }
        return part;
    }

    // What train, eval, freeze, unfreeze and requires_grad come to. Layers that train() or eval() reaches are told in any
    // case.
    void change_modes(const Json& modes, const std::vector<Leaf*>& told) {
        const auto& list = modes.as_list();
        if (list.size() != leaves_.size()) throw FrameError("there are other modes than layers");
        for (std::size_t i = 0; i < list.size(); ++i) {
            Leaf& leaf = leaves_[i];
            const Modes before = leaf.modes;
            const Modes now{list[i].at("training").as_bool(), list[i].at("weight").as_bool(), list[i].at("bias").as_bool()};
            leaf.modes = now;
            if (before.training != now.training || std::find(told.begin(), told.end(), &leaf) != told.end()) {
                leaf.layer->set_training(now.training);
            }
            if (before.weight != now.weight) leaf.layer->set_requires_grad("weight", now.weight);
            if (before.bias != now.bias) leaf.layer->set_requires_grad("bias", now.bias);
        }
    }

    Tensors forward(const std::vector<Leaf*>& part, const Json& fields) {
        // A forward that fails leaves nothing to go back through.
        latest_.reset();
        const Json& input = fields.at("input");
        const bool no_grad = fields.at("no_grad").as_bool();
        bool requires_grad = input.at("requires_grad").as_bool() && !no_grad;
        std::string layout = input.at("layout").as_string();
        Tensor x = tensor_called(input.at("tensor").as_string()).laid_out(layout);
        std::vector<Run> run;
        Tensors given;
        for (Leaf* leaf : part) {
            leaf->grad_input.reset();
            // An output lies as its input does where that is one of PyTorch's memory formats.
            if (layout != "channels_last") layout = "contiguous";
            run.push_back({leaf, requires_grad, layout});
            auto [output, leads_back] = leaf->layer->forward(x, requires_grad, no_grad);
            given.emplace_back(named(leaf->path, "output"), output);
            x = output.laid_out(layout);
            requires_grad = leads_back && !no_grad;
        }
        latest_ = {std::move(run), requires_grad};
        return given;
    }

    Tensors backward(const Json& fields) {
        if (!latest_) throw LayerError("no_graph", "there is no output to go back from");
        if (!latest_->second) throw LayerError("no_graph", "the latest output does not require grad and has no graph");
        const auto& run = latest_->first;
        std::string layout = fields.at("layout").as_string();
        std::optional<Tensor> grad = tensor_called(fields.at("grad").as_string());
        for (std::size_t i = run.size(); i-- > 0;) {
            grad = run[i].leaf->layer->backward(grad->laid_out(layout));
            if (!run[i].asked || !backend_.shows("grad_input")) break;
            if (!grad) throw LayerError("other", "no gradient arrived at the input");
            run[i].leaf->grad_input = accumulated(run[i].leaf->grad_input, *grad);
            layout = run[i].layout;
        }
        Tensors given;
        for (const Run& one : run) {
            const ParameterGradients gradients = one.leaf->layer->gradients();
            const auto add = [&](const char* name, const std::optional<Tensor>& tensor) {
                if (tensor) given.emplace_back(named(one.leaf->path, name), *tensor);
            };
            add("grad_input", one.leaf->grad_input);
            add("grad_weight", gradients.weight);
            add("grad_bias", gradients.bias);
        }
        return given;
    }

    static std::vector<std::string> cast_by(const std::string& what) {
        if (what == "layer") return {"weight", "bias", "running_mean", "running_var"};
        if (what == "parameters") return {"weight", "bias"};
        if (what == "statistics") return {"running_mean", "running_var"};
        return {what};
    }

    void set(Leaf& leaf, const Json& settings) {
        for (const auto& one : settings.as_list()) {
            for (const auto& [name, value] : one.as_object()) {
                Setting setting{name, {}, {}, false, {}};
                if (name == "tensor") {
                    setting.name = value.as_list().at(0).as_string();
                    setting.tensor = tensor_of(value.as_list().at(1));
                } else if (name == "track_running_stats") {
                    setting.flag = value.as_bool();
                } else if (name == COUNTER) {
                    if (!value.is_null()) setting.count = value.as_int();
                } else if (!value.is_null()) {
                    setting.number = value.as_double();
                }
                leaf.layer->set(setting);
                // A new parameter is trained.
                if (setting.name == "weight") leaf.modes.weight = true;
                if (setting.name == "bias") leaf.modes.bias = true;
            }
        }
    }

    // What the names of a layer's entries begin with in the dictionary of a part.
    static std::string prefix(const std::string& at, const Leaf& leaf) {
        std::string below = leaf.path.substr(at.size());
        if (!below.empty() && below[0] == '.') below.erase(0, 1);
        return below.empty() ? below : below + ".";
    }

    using Dictionary = std::vector<std::pair<std::string, Tensor>>;

    void save_state(const std::vector<Leaf*>& part, const Json& fields) {
        Dictionary& saved = saved_[fields.at("name").as_string()];
        saved.clear();
        for (const Leaf* leaf : part) {
            const std::string before = prefix(fields.at("at").as_string(), *leaf);
            const LayerState state = leaf->layer->state();
            const std::optional<Tensor>* tensors[] = {&state.weight, &state.bias, &state.running_mean, &state.running_var};
            for (std::size_t slot = 0; slot < 4; ++slot) {
                if (*tensors[slot]) saved.emplace_back(before + SLOTS[slot], **tensors[slot]);
            }
            if (state.num_batches_tracked) saved.emplace_back(before + COUNTER, Tensor::counter(*state.num_batches_tracked));
        }
    }

    // Every layer takes what fits it, and only then anything is refused.
    void load_state(const std::vector<Leaf*>& part, const Json& fields) {
        const Json& from = fields.at("from");
        Dictionary entries;
        if (!from.at("saved").is_null()) {
            const std::string& name = from.at("saved").as_string();
            if (!saved_.count(name)) throw LayerError("other", "no state was saved as `" + name + "`");
            entries = saved_[name];
        }
        const auto remove = [&](const std::string& name) {
            entries.erase(std::remove_if(entries.begin(), entries.end(), [&](const auto& one) { return one.first == name; }),
                          entries.end());
        };
        for (const auto& name : from.at("without").as_list()) remove(name.as_string());
        for (const auto& pair : from.at("entries").as_list()) {
            const std::string& name = pair.as_list().at(0).as_string();
            remove(name);
            entries.emplace_back(name, tensor_called(pair.as_list().at(1).as_string()));
        }
        Loaded all;
        std::set<std::string> claimed;
        for (Leaf* leaf : part) {
            const std::string before = prefix(fields.at("at").as_string(), *leaf);
            std::map<std::string, Tensor> own;
            for (const auto& [name, tensor] : entries) {
                if (name.compare(0, before.size(), before) != 0 || name.find('.', before.size()) != std::string::npos) continue;
                own.emplace(name.substr(before.size()), tensor);
                claimed.insert(name);
            }
            const Loaded loaded = leaf->layer->load_state(own, from.at("version").as_int());
            for (const auto& name : loaded.missing) all.missing.push_back(before + name);
            for (const auto& name : loaded.unexpected) all.unexpected.push_back(before + name);
            for (const auto& name : loaded.misshapen) all.misshapen.push_back(before + name);
        }
        for (const auto& [name, tensor] : entries) {
            if (!claimed.count(name)) all.unexpected.push_back(name);
        }
        const bool strict = fields.at("strict").as_bool();
        const auto refuse = [](const char* error_class, const char* what, const std::vector<std::string>& names) {
            if (!names.empty()) {
                throw LayerError(error_class, std::string("entries ") + what + " in the state dictionary: " + joined(names));
            }
        };
        if (strict) refuse("missing_entry", "missing", all.missing);
        if (strict) refuse("unexpected_entry", "unexpected", all.unexpected);
        refuse("entry_shape", "of another shape", all.misshapen);
    }

    Backend& backend_;
    std::map<std::string, const Tensor*> tensors_;
    std::vector<Leaf> leaves_;
    // The layers that the latest forward ran, and whether its output leads back to anything.
    std::optional<std::pair<std::vector<Run>, bool>> latest_;
    std::map<std::string, Dictionary> saved_;
};

// An exception as an answer.
inline Json described(Backend& backend, const std::exception& error) {
    if (const auto* raised = dynamic_cast<const LayerError*>(&error)) {
        return Json::Object{{"class", raised->error_class}, {"message", std::string(raised->what())}};
    }
    std::optional<std::string> error_class = backend.error_class(error);
    if (!error_class) {
        std::fprintf(stderr, "%s\n", error.what());
        error_class = "panic";
    }
    return Json::Object{{"class", *error_class}, {"message", std::string(error.what())}};
}

// The answers to the new layers and to every step, what each took of the backend's own code, and their tensors.
inline Message answer(Backend& backend, const Json& request, const Tensors& tensors) {
    const auto& steps = request.at("steps").as_list();
    Json::List said, nanos;
    Tensors given;
    std::optional<Model> model;
    Clock& clock = Clock::here();
    clock.take();
    // Whatever is thrown is an answer, but what says that there is none.
    const auto attempt = [&](const std::function<void()>& what) -> std::optional<Json> {
        try {
            what();
        } catch (const Unsupported&) {
            throw;
        } catch (const FrameError&) {
            throw;
        } catch (const std::exception& error) {
            return described(backend, error);
        }
        return std::nullopt;
    };
    const auto failed = attempt([&] { model.emplace(backend, request.at("layers"), tensors); });
    for (std::size_t number = 0; number <= steps.size(); ++number) {
        // Without a layer every step fails as the constructor did.
        std::optional<Json> error = failed;
        Tensors own;
        if (model) {
            if (number > 0) error = attempt([&] { own = model->act(steps[number - 1]); });
            nanos.emplace_back(clock.take());
            const auto unseen = attempt([&] {
                for (auto& tensor : model->state()) own.push_back(std::move(tensor));
            });
            if (!error) error = unseen;
            // Reading the state belongs to no step.
            clock.take();
        }
        said.push_back(error ? Json::Object{{"error", *error}} : Json::Object{});
        for (auto& [name, tensor] : own) given.emplace_back(std::to_string(number) + "/" + name, std::move(tensor));
    }
    Json::Object answer{{"id", request.at("id")}, {"steps", std::move(said)}};
    if (!nanos.empty()) answer.emplace_back("nanos", std::move(nanos));
    return {Json::Object{{"answer", std::move(answer)}}, std::move(given)};
}

}  // namespace detail

// The greeting of a backend.
inline Json hello(const Backend& backend) {
    Json::Object said{{"protocol", PROTOCOL}, {"name", backend.name}, {"version", backend.version}, {"about", backend.about}};
    if (!backend.dtypes.empty()) {
        Json::List names;
        for (const DType dtype : backend.dtypes) names.emplace_back(info(dtype).name);
        said.emplace_back("dtypes", std::move(names));
    }
    const auto add = [&](const char* key, const std::vector<std::pair<std::string, std::string>>& reasons) {
        Json::Object object;
        for (const auto& [name, reason] : reasons) object.emplace_back(name, reason);
        if (!object.empty()) said.emplace_back(key, std::move(object));
    };
    add("lacks", backend.lacks);
    add("unobservable", backend.unobservable);
    if (!backend.absent.empty()) said.emplace_back("absent", backend.absent);
    return Json::Object{{"hello", std::move(said)}};
}

// The answer to a request, which is given as a frame without its length; a frame with its length.
inline std::vector<std::uint8_t> respond(Backend& backend, const std::vector<std::uint8_t>& frame) {
    const Message message = unpack(frame);
    const Json& request = message.json.at("request");
    try {
        if (const auto reason = backend.unsupported(request)) throw Unsupported(*reason);
        return pack(detail::answer(backend, request, message.tensors));
    } catch (const Unsupported& why) {
        const Json::Object said{{"id", request.at("id")}, {"reason", std::string(why.what())}};
        return pack({Json::Object{{"unsupported", said}}, {}});
    }
}

// Serves a backend on these, until the input ends.
inline void serve_on(Backend& backend, int in, int out) {
    detail::write_bytes(out, pack({hello(backend), {}}));
    while (const auto frame = read_frame(in)) detail::write_bytes(out, respond(backend, *frame));
}

// Serves a backend on standard input and output until the input ends. What is printed meanwhile goes to standard error:
// standard output belongs to the answers. The exit code of the program.
inline int serve(Backend& backend) {
    try {
        std::fflush(stdout);
        const int out = ::dup(STDOUT_FILENO);
        if (out < 0 || ::dup2(STDERR_FILENO, STDOUT_FILENO) < 0) {
            throw FrameError(std::string("cannot keep standard output: ") + std::strerror(errno));
        }
        serve_on(backend, STDIN_FILENO, out);
        return 0;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
}

}  // namespace bncheck

#endif  // BNCHECK_HPP
