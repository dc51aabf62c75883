// The header against the example frames of docs/protocol.md, and against what must be refused. Ends with 0 where all is as
// it should be, and says how many things it looked at.
//
// c++ -std=c++17 -o frames backends/cpp/tests/frames.cpp && ./frames docs/protocol

#define PLAIN_BN_NO_MAIN
#include "../examples/plain_bn.cpp"

#include <fcntl.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <thread>
#include <vector>

using namespace bncheck;

namespace {

using Bytes = std::vector<std::uint8_t>;

int looked_at = 0;
int wrong = 0;

void expect(bool holds, const std::string& what) {
    ++looked_at;
    if (holds) return;
    ++wrong;
    std::fprintf(stderr, "not so: %s\n", what.c_str());
}

Bytes read_file(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    if (!file) throw std::runtime_error("cannot read " + path);
    return Bytes(std::istreambuf_iterator<char>(file), {});
}

Bytes without_length(const Bytes& frame) { return Bytes(frame.begin() + 4, frame.end()); }

// A message as the readable files have it: its tensors as bits.
Json readable(const Message& message) {
    Json::List tensors;
    for (const auto& [name, tensor] : message.tensors) {
        const std::size_t size = info(tensor.dtype()).size;
        const Bytes bytes = tensor.bytes();
        Json::List bits, shape;
        for (std::size_t at = 0; at < bytes.size(); at += size) {
            std::string text = "0x";
            for (std::size_t i = size; i-- > 0;) {
                char digits[3];
                std::snprintf(digits, sizeof(digits), "%02x", static_cast<unsigned>(bytes[at + i]));
                text += digits;
            }
            bits.emplace_back(text);
        }
        for (const std::size_t one : tensor.shape()) shape.emplace_back(std::uint64_t{one});
        tensors.push_back(Json::Object{{"bits", std::move(bits)},
                                       {"dtype", info(tensor.dtype()).stored_as},
                                       {"name", name},
                                       {"shape", std::move(shape)}});
    }
    return Json::Object{{"message", message.json}, {"tensors", std::move(tensors)}};
}

void examples_are_read_and_written_as_they_are(const std::string& folder) {
    for (const std::string name : {"hello", "absent", "request", "answer", "unsupported", "error"}) {
        const Bytes frame = read_file(folder + "/" + name + ".bin");
        const Bytes text = read_file(folder + "/" + name + ".json");
        const Message message = unpack(without_length(frame));
        expect(readable(message) == Json::parse(std::string(text.begin(), text.end())), name + ".bin is read as it says");
        expect(pack(message) == frame, name + ".bin is written as the same bytes");
    }
}

// An answer without how long it took, which nobody foresees; it has to say that of every entry.
Message untimed(Message answer) {
    Json::Object said = answer.json.at("answer").as_object();
    const auto nanos = std::find_if(said.begin(), said.end(), [](const auto& field) { return field.first == "nanos"; });
    expect(nanos != said.end() && nanos->second.as_list().size() == answer.json.at("answer").at("steps").as_list().size(),
           "a time for every entry");
    if (nanos != said.end()) said.erase(nanos);
    answer.json = Json::Object{{"answer", std::move(said)}};
    return answer;
}

void the_example_is_answered_bit_for_bit(const std::string& folder) {
    PlainBatchNorm backend;
    const Bytes request = read_file(folder + "/request.bin");
    const Bytes example = read_file(folder + "/answer.bin");
    expect(pack(untimed(unpack(without_length(respond(backend, without_length(request)))))) == example, "the example's answer");
    // The same over pipes.
    int in[2], out[2];
    if (::pipe(in) != 0 || ::pipe(out) != 0) throw std::runtime_error("no pipe");
    detail::write_bytes(in[1], request);
    ::close(in[1]);
    serve_on(backend, in[0], out[1]);
    ::close(out[1]);
    const auto greeting = read_frame(out[0]);
    expect(greeting && unpack(*greeting).json == hello(backend), "the greeting comes first");
    const auto answer = read_frame(out[0]);
    expect(answer && pack(untimed(unpack(*answer))) == example, "then the answer");
    expect(!read_frame(out[0]), "then nothing");
    ::close(in[0]);
    ::close(out[0]);
}

void a_greeting_says_what_is_lacking() {
    PlainBatchNorm backend;
    backend.dtypes = {DType::f32, DType::f64};
    backend.lacks = {{"cast", "layers have one type for good"}};
    backend.absent = "it is not installed";
    const Json said = hello(backend).at("hello");
    expect(said.at("dtypes").dump() == R"(["f32","f64"])", "the types");
    expect(said.at("lacks").dump() == R"({"cast":"layers have one type for good"})", "what it lacks");
    expect(said.at("absent").as_string() == "it is not installed" && !said.find("unobservable"), "that it is absent");
}

std::string refused(const std::function<void()>& what) {
    try {
        what();
    } catch (const FrameError& error) {
        return error.what();
    }
    return "";
}

Bytes frame_of(const std::string& header, std::size_t data) {
    Bytes frame;
    for (int i = 0; i < 8; ++i) frame.push_back(static_cast<std::uint8_t>(std::uint64_t{header.size()} >> 8 * i));
    frame.insert(frame.end(), header.begin(), header.end());
    frame.resize(frame.size() + data);
    return frame;
}

void what_is_no_frame_is_refused() {
    const std::string meta = R"("__metadata__":{"bncheck":"{}"})";
    const auto one = [](const char* name, const char* shape, const char* offsets) {
        return std::string("\"") + name + R"(":{"dtype":"F16","shape":)" + shape + R"(,"data_offsets":)" + offsets + "}";
    };
    const auto with = [&](const std::string& tensors, std::size_t data) {
        return refused([&] { unpack(frame_of("{" + meta + "," + tensors + "}", data)); });
    };
    expect(with(one("a", "[1]", "[0,2]") , 2).empty(), "a frame that is right is not refused");
    for (const auto& [a, b] : std::vector<std::pair<const char*, const char*>>{
             {"[0,2]", "[1,3]"}, {"[0,2]", "[0,2]"}, {"[0,2]", "[4,6]"}, {"[2,4]", "[4,6]"}, {"[0,2]", "[2,8]"},
             {"[0,2]", "[2,18446744073709551615]"}, {"[2,0]", "[2,4]"}}) {
        const std::string said = with(one("a", "[1]", a) + "," + one("b", "[1]", b), 6);
        expect(said.find("the bytes of tensor") == 0, std::string(a) + " and " + b + " are refused: " + said);
    }
    expect(with(one("a", "[1]", "[0,2]"), 3).find("left over") != std::string::npos, "bytes are left over");
    for (const char* shape : {"[2]", "[1,0]", "[18446744073709551615,3]", "[4294967296,4294967296]", "[]"}) {
        const bool is_right = std::string(shape) == "[]";
        expect(with(one("a", shape, "[0,2]"), 2).empty() == is_right, std::string("two bytes of the shape ") + shape);
    }
    for (const char* text : {R"("a":{"dtype":"F8","shape":[],"data_offsets":[0,2]})",
                             R"("a":{"dtype":"F16","shape":[-1],"data_offsets":[0,2]})",
                             R"("a":{"dtype":"F16","shape":[1.5],"data_offsets":[0,2]})",
                             R"("a":{"dtype":"F16","shape":[],"data_offsets":[0,2],"strides":[]})",
                             R"("a":{"dtype":"F16","shape":[],"data_offsets":[0]})", R"("a":5)",
                             R"("__metadata__":{"bncheck":"{}"})"}) {
        expect(!with(text, 2).empty(), std::string(text) + " is refused");
    }
    for (const Bytes& bytes : {Bytes{}, Bytes(7), Bytes(20, 255), frame_of("[]", 0), frame_of("{}", 0), frame_of("{", 0)}) {
        expect(!refused([&] { unpack(bytes); }).empty(), "what is no frame is refused");
    }
    const Tensors twice{{"a", Tensor::counter(1)}, {"a", Tensor::counter(2)}};
    expect(!refused([&] { pack({Json(), twice}); }).empty(), "two tensors of one name");
}

void what_is_no_json_is_refused() {
    for (const std::string text :
         {"", " ", "{", "[1,]", "{\"a\":1,}", "{\"a\" 1}", "{a:1}", "01", "1.", ".5", "1e", "+1", "-", "nul", "truex", "NaN",
          "1 2", "\"", "\"\\x\"", "\"\\u12\"", "\"\\ud800\"", "\"\\ud800\\u0041\"", "\"\\udc00\"", "\"\n\"", "\"\xff\"", "\"\xc0\x80\"",
          "\"\xed\xa0\x80\"", "\"\xf4\x90\x80\x80\"", "\"\xe2\x82\"", "{\"a\":1,\"a\":2}", "{\"a\":{\"b\":1,\"\\u0062\":2}}"}) {
        expect(!refused([&] { Json::parse(text); }).empty(), "`" + text + "` is refused");
    }
    expect(!refused([] { Json::parse(std::string(100'000, '[')); }).empty(), "nesting has an end");
    for (const std::string text : {R"({"a":[1,-2.5e-3,true,false,null,"\u00e9\ud83d\ude00 \"\\\n"],"b":{}})", "0", "-0", "1e400"}) {
        const Json json = Json::parse(text);
        expect(Json::parse(json.dump()).dump() == json.dump(), text + " is read as it was written");
    }
    expect(Json::parse("\"\\ud83d\\ude00\"").as_string() == "\xf0\x9f\x98\x80", "a pair of surrogates is one character");
    expect(Json::parse("9223372036854775807").as_int() == INT64_MAX, "the largest whole number");
    expect(Json::parse("-9223372036854775808").as_int() == INT64_MIN, "the smallest");
    for (const std::string text : {"9223372036854775808", "1.0", "1e3", "\"1\""}) {
        expect(!refused([&] { Json::parse(text).as_int(); }).empty(), text + " is no whole number");
    }
    expect(!refused([] { Json::parse("1e400").as_double(); }).empty(), "1e400 is no float64");
}

// A layer with its own state, which gives back what it gets, and lacks what it does not say that it lacks.
class SameLayer final : public Layer {
public:
    void set_training(bool training) override {
        if (!training) throw Unsupported("it only trains");
    }
    std::pair<Tensor, bool> forward(const Tensor& x, bool requires_grad, bool) override { return {x, requires_grad}; }
    std::optional<Tensor> backward(const Tensor& grad_output) override { return grad_output; }
    ParameterGradients gradients() const override { return {}; }
    void zero_grad() override {}
    void sgd(double) override { throw std::out_of_range("no parameters"); }
    LayerState state() const override { return {}; }
};

class Same final : public Backend {
public:
    std::unique_ptr<Layer> create(const LayerConfig& config) override {
        if (config.kind != "BatchNorm1d") throw LayerError("other", "there is no " + config.kind);
        return std::make_unique<SameLayer>();
    }
    std::optional<std::string> error_class(const std::exception& error) override {
        return dynamic_cast<const std::out_of_range*>(&error) ? std::optional("no_graph") : std::nullopt;
    }
};

void a_layer_with_its_own_state_is_asked_what_it_has(const std::string& folder) {
    Same backend;
    const Message example = unpack(without_length(read_file(folder + "/request.bin")));
    const auto asked = [&](const std::string& kind, const std::string& steps) {
        std::string text = example.json.dump();
        text.replace(text.find("BatchNorm1d"), 11, kind);
        const std::size_t begin = text.find("\"steps\":");
        text.replace(begin, text.size() - begin, "\"steps\":" + steps + "}}");
        return unpack(without_length(respond(backend, without_length(pack({Json::parse(text), example.tensors})))));
    };
    const std::string all = R"({"at":""})", modes = R"("modes":[{"training":true,"weight":true,"bias":true}])";
    const std::string forward = R"({"forward":{"at":"","no_grad":false,"input":{"tensor":"steps/3/input","dtype":"f32",)"
                                R"("layout":"sliced","requires_grad":true}}})";
    const Message answer = asked("BatchNorm1d", R"([{"train":)" + all + "," + modes + "}," + forward +
                                                    R"(,{"backward":{"grad":"steps/4/grad","layout":"permuted"}},{"sgd":{"at":"","lr":0.1}},)" +
                                                    R"({"reset_running_stats":)" + all + "}]");
    expect(answer.tensors.size() == 2 && answer.tensors[0].first == "2/output" && answer.tensors[1].first == "3/grad_input",
           "an output and a gradient");
    const auto& steps = answer.json.at("answer").at("steps").as_list();
    expect(steps.size() == 6 && !steps[3].find("error"), "an entry for the layers and for each step");
    expect(steps[4].at("error").at("class").as_string() == "no_graph", "its own exceptions have their classes");
    expect(steps[5].at("error").at("class").as_string() == "panic", "others are a panic: " + steps[5].dump());
    const Message eval = asked("BatchNorm1d", R"([{"eval":{"at":""},"modes":[{"training":false,"weight":true,"bias":true}]}])");
    expect(eval.json.at("unsupported").at("reason").as_string() == "it only trains", "what it cannot is unsupported");
    const Message failed = asked("BatchNorm2d", "[" + forward + "]");
    const auto& entries = failed.json.at("answer").at("steps").as_list();
    expect(entries.size() == 2 && entries[1].at("error").at("class").as_string() == "other", "a constructor that fails");
    expect(!refused([&] { asked("BatchNorm1d", R"([{"dance":{"at":""}}])"); }).empty(), "no step is called so");
}

constexpr std::uint64_t LONG = 20'000'000;

void take_at_least(std::uint64_t nanos) { std::this_thread::sleep_for(std::chrono::nanoseconds(nanos)); }

// Takes its time wherever it is asked, and says of its backward which part of it counts.
class SlowLayer final : public Layer {
public:
    void set_training(bool) override {}
    std::pair<Tensor, bool> forward(const Tensor& x, bool, bool) override {
        take_at_least(LONG);
        return {x, true};
    }
    std::optional<Tensor> backward(const Tensor& grad_output) override {
        take_at_least(10 * LONG);
        return computing([&] { return grad_output; });
    }
    ParameterGradients gradients() const override { return {}; }
    void zero_grad() override {
        take_at_least(LONG);
        throw std::runtime_error("it has none");
    }
    void sgd(double) override {}
    LayerState state() const override {
        computing([] { take_at_least(LONG); });
        return {};
    }
};

class Slow final : public Backend {
public:
    std::unique_ptr<Layer> create(const LayerConfig&) override {
        if (fails) throw LayerError("other", "there is no layer");
        return std::make_unique<SlowLayer>();
    }
    bool fails = false;
};

void an_answer_says_how_long_the_backend_itself_took(const std::string& folder) {
    const Message example = unpack(without_length(read_file(folder + "/request.bin")));
    const auto asked = [&](Backend& backend, const std::string& steps) {
        std::string text = example.json.dump();
        const std::size_t begin = text.find("\"steps\":");
        text.replace(begin, text.size() - begin, "\"steps\":" + steps + "}}");
        return unpack(without_length(respond(backend, without_length(pack({Json::parse(text), example.tensors}))))).json.at("answer");
    };
    const std::string steps = R"([{"train":{"at":""},"modes":[{"training":true,"weight":true,"bias":true}]},)"
                              R"({"forward":{"at":"","no_grad":false,"input":{"tensor":"steps/3/input","dtype":"f32",)"
                              R"("layout":"contiguous","requires_grad":true}}},)"
                              R"({"backward":{"grad":"steps/4/grad","layout":"contiguous"}},{"zero_grad":{"at":""}}])";
    const auto nanos_of = [&](const Json& answer) {
        std::vector<std::uint64_t> nanos;
        for (const Json& one : answer.at("nanos").as_list()) nanos.push_back(one.as_unsigned());
        return nanos;
    };
    PlainBatchNorm kernel;
    const auto of_kernel = nanos_of(asked(kernel, steps));
    expect(of_kernel.size() == 5 && of_kernel[1] == 0 && of_kernel[4] == 0, "of a kernel the rules around it do not count");
    expect(of_kernel[2] > 0 && of_kernel[3] > 0, "what it computes does");
    Slow slow;
    const Json answer = asked(slow, steps);
    const auto of_layer = nanos_of(answer);
    expect(of_layer[2] >= LONG, "a call of a layer counts");
    expect(of_layer[3] < 10 * LONG, "but where it measures a part of it");
    expect(answer.at("steps").as_list()[4].find("error") && of_layer[4] >= LONG, "a step that fails is timed as well");
    expect(of_layer[1] < LONG, "reading it does not count");
    slow.fails = true;
    expect(!asked(slow, steps).find("nanos"), "what has no layer has no times");
}

// A frame with some bytes changed, cut or put in is a message or refused, and nothing else happens.
void what_is_broken_breaks_nothing(const std::string& folder) {
    std::mt19937 random(20'150'211);
    const Bytes request = without_length(read_file(folder + "/request.bin"));
    PlainBatchNorm backend;
    int answered = 0, refused_count = 0;
    for (int round = 0; round < 20'000; ++round) {
        Bytes broken = request;
        const auto place = [&] { return broken.begin() + static_cast<std::ptrdiff_t>(random() % broken.size()); };
        for (unsigned changes = 1 + random() % 3; changes-- > 0 && broken.size() > 1;) {
            switch (random() % 6) {
                case 0: *place() = static_cast<std::uint8_t>(random()); break;
                case 1: *place() ^= static_cast<std::uint8_t>(1u << random() % 8); break;
                case 2: broken.erase(place(), broken.end()); break;
                case 3: broken.insert(place(), static_cast<std::uint8_t>(random())); break;
                default: {
                    // Another number, in what may well be a message.
                    auto digit = place();
                    while (digit != broken.end() && (*digit < '0' || *digit > '9')) ++digit;
                    if (digit != broken.end()) *digit = static_cast<std::uint8_t>('0' + random() % 10);
                }
            }
        }
        try {
            respond(backend, broken);
            ++answered;
        } catch (const std::exception&) {
            ++refused_count;
        }
    }
    expect(answered > 500 && refused_count > 5'000,
           std::to_string(answered) + " answered, " + std::to_string(refused_count) + " refused");
    const Bytes whole = read_file(folder + "/request.bin");
    for (const std::size_t end : {std::size_t{1}, std::size_t{3}, std::size_t{40}, whole.size() - 1}) {
        int pipe[2];
        if (::pipe(pipe) != 0) throw std::runtime_error("no pipe");
        detail::write_bytes(pipe[1], Bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(end)));
        ::close(pipe[1]);
        expect(refused([&] { read_frame(pipe[0]); }) == "the pipe ended within a frame", "a frame that ends early");
        ::close(pipe[0]);
    }
    int pipe[2];
    if (::pipe(pipe) != 0) throw std::runtime_error("no pipe");
    detail::write_bytes(pipe[1], {0xff, 0xff, 0xff, 0xff});
    expect(refused([&] { read_frame(pipe[0]); }).find("too large") != std::string::npos, "a frame that claims too much");
    ::close(pipe[0]);
    ::close(pipe[1]);
}

std::uint64_t bits_of(double value, DType dtype) {
    const Bytes bytes = Tensor::rounded(dtype, {}, {value}).bytes();
    std::uint64_t bits = 0;
    for (std::size_t i = bytes.size(); i-- > 0;) bits = bits << 8 | bytes[i];
    return bits;
}

void numbers_are_rounded_once_and_widened_exactly() {
    struct Row {
        DType dtype;
        double value;
        std::uint64_t bits;
    };
    const double inf = std::numeric_limits<double>::infinity(), tiny = std::ldexp(1.0, -24);
    for (const auto& [dtype, value, bits] : std::vector<Row>{
             {DType::f16, 1.0, 0x3c00},        {DType::f16, -0.0, 0x8000},       {DType::f16, 65504.0, 0x7bff},
             {DType::f16, 65519.999, 0x7bff},  {DType::f16, 65520.0, 0x7c00},    {DType::f16, -inf, 0xfc00},
             {DType::f16, tiny, 0x0001},       {DType::f16, tiny / 2, 0x0000},   {DType::f16, tiny * 0.5000001, 0x0001},
             {DType::f16, tiny * 1.5, 0x0002}, {DType::f16, 1023.6 * tiny, 0x0400},
             // Between two, and just above the middle: to float32 first it would be the middle, and go to the even one.
             {DType::f16, 1.0 + 0x1p-11, 0x3c00}, {DType::f16, 1.0 + 0x1p-11 + 0x1p-40, 0x3c01},
             {DType::f16, 1.0 + 3 * 0x1p-11, 0x3c02}, {DType::bf16, 1.0, 0x3f80}, {DType::bf16, 1.0 + 0x1p-8, 0x3f80},
             {DType::bf16, 1.0 + 0x1p-8 + 0x1p-40, 0x3f81}, {DType::bf16, 3.4e38, 0x7f80}, {DType::bf16, 1e308, 0x7f80},
             {DType::bf16, 0x1p-133, 0x0001}, {DType::bf16, 0x1p-134, 0x0000}, {DType::bf16, -0x1.8p-133, 0x8002},
             {DType::f32, 0.1, 0x3dcccccd}, {DType::f64, 0.1, 0x3fb999999999999a}}) {
        expect(bits_of(value, dtype) == bits, std::string(info(dtype).name) + " of " + std::to_string(value));
    }
    for (const DType dtype : {DType::f16, DType::bf16}) {
        bool kept = true;
        for (unsigned bits = 0; bits < 65536; ++bits) {
            const Tensor tensor(dtype, {}, {static_cast<std::uint8_t>(bits), static_cast<std::uint8_t>(bits >> 8)});
            const double value = tensor.values()[0];
            kept = kept && (std::isnan(value) ? std::isnan(tensor.cast(DType::f64).cast(dtype).values()[0])
                                              : bits_of(value, dtype) == bits);
        }
        expect(kept, std::string("every number of ") + info(dtype).name + " comes back as it went");
    }
}

void a_tensor_lies_in_memory_as_it_is_asked_to() {
    std::vector<double> numbers(2 * 3 * 4);
    for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] = static_cast<double>(i);
    for (const DType dtype : {DType::f16, DType::bf16, DType::f32, DType::f64, DType::i64}) {
        const Tensor tensor = Tensor::rounded(dtype, {2, 3, 4}, numbers);
        const std::vector<std::pair<const char*, Shape>> layouts{
            {"contiguous", {12, 4, 1}}, {"channels_last", {12, 1, 3}}, {"permuted", {1, 2, 6}}, {"sliced", {30, 6, 1}}};
        for (const auto& [layout, strides] : layouts) {
            const Tensor laid_out = tensor.laid_out(layout);
            expect(laid_out.strides() == strides, std::string(layout) + " has other strides");
            expect(laid_out.values() == numbers && laid_out.bytes() == tensor.bytes(), std::string(layout) + " is the same");
            const std::size_t last = strides[0] + 2 * strides[1] + 3 * strides[2];
            const auto at = laid_out.data() + last * info(dtype).size;
            expect(detail::number_at(dtype, at) == 23.0, std::string(layout) + " has its last element where it says");
            expect(laid_out.laid_out("contiguous").strides() == tensor.strides(), "and lies contiguously again");
        }
        const Tensor expanded = Tensor::rounded(dtype, {2, 2}, {5, 6, 5, 6}).laid_out("expanded");
        expect(expanded.strides() == Shape{0, 1} && expanded.values() == std::vector<double>{5, 6, 5, 6}, "expanded");
    }
    for (const char* layout : {"contiguous", "channels_last", "permuted", "sliced", "expanded"}) {
        expect(Tensor::full(DType::f32, {0, 3}, 1).laid_out(layout).values().empty(), std::string("none, ") + layout);
        expect(Tensor::full(DType::f32, {}, 1).laid_out(layout).values().size() == 1, std::string("one, ") + layout);
    }
}

}  // namespace

int main(int count, char** arguments) {
    if (count != 2) {
        std::fprintf(stderr, "usage: frames docs/protocol\n");
        return 2;
    }
    const std::string folder = arguments[1];
    examples_are_read_and_written_as_they_are(folder);
    the_example_is_answered_bit_for_bit(folder);
    a_greeting_says_what_is_lacking();
    what_is_no_frame_is_refused();
    what_is_no_json_is_refused();
    a_layer_with_its_own_state_is_asked_what_it_has(folder);
    an_answer_says_how_long_the_backend_itself_took(folder);
    what_is_broken_breaks_nothing(folder);
    numbers_are_rounded_once_and_widened_exactly();
    a_tensor_lies_in_memory_as_it_is_asked_to();
    std::printf("%d of %d things are as they should be\n", looked_at - wrong, looked_at);
    return wrong == 0 ? 0 : 1;
}
