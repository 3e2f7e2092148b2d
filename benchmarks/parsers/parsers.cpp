// The records of benchmarks/decode through two C and C++ parsers, as near to typed columns as each gets.
// g++ -O3 -DNDEBUG parsers.cpp -o parsers -lsimdjson -lyajl && ./parsers small.json large.json
#include <simdjson.h>
#include <yajl/yajl_parse.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <fstream>
#include <functional>
#include <iterator>
#include <string>
#include <vector>

namespace {

std::string columns;

void append_number(int64_t number) {
    uint64_t big = __builtin_bswap64(static_cast<uint64_t>(number));
    columns.append(reinterpret_cast<const char *>(&big), sizeof big);
}

// On demand: what is skipped is not checked, the document column among it.
size_t with_simdjson(simdjson::ondemand::parser &parser, const simdjson::padded_string &text) {
    columns.clear();
    simdjson::ondemand::document document = parser.iterate(text);
    for (auto field : document.get_object()) {
        std::string_view name = field.unescaped_key();
        if (name == "note") {
            columns.append(std::string_view(field.value().get_string()));
        } else if (name == "attributes") {
            columns.append(std::string_view(field.value().get_object().value().raw_json()));
        } else {
            append_number(field.value().get_int64());
        }
    }
    return columns.size();
}

// The whole text checked, into simdjson's own tape: nothing is taken out of it.
size_t with_simdjson_tape(simdjson::dom::parser &parser, const simdjson::padded_string &text) {
    return parser.parse(text).get_object().value().size();
}

// Events; numbers as text. The document column is checked and copied from where it stands.
struct Events {
    int depth = 0;
    std::string name;
};

int on_number(void *, const char *text, size_t) {
    append_number(strtoll(text, nullptr, 10));
    return 1;
}
int on_string(void *context, const unsigned char *text, size_t length) {
    if (static_cast<Events *>(context)->depth == 1) {
        columns.append(reinterpret_cast<const char *>(text), length);
    }
    return 1;
}
int on_key(void *context, const unsigned char *text, size_t length) {
    auto *events = static_cast<Events *>(context);
    if (events->depth == 1) events->name.assign(reinterpret_cast<const char *>(text), length);
    return 1;
}
int on_scalar(void *) { return 1; }
int on_boolean(void *, int) { return 1; }
int on_open(void *context) { return ++static_cast<Events *>(context)->depth; }
int on_close(void *context) {
    --static_cast<Events *>(context)->depth;
    return 1;
}

const yajl_callbacks callbacks = {on_scalar, on_boolean, nullptr, nullptr, on_number, on_string,
                                  on_open,   on_key,     on_close, on_open, on_close};

size_t with_yajl(const std::string &text) {
    columns.clear();
    Events events;
    yajl_handle handle = yajl_alloc(&callbacks, nullptr, &events);
    auto *bytes = reinterpret_cast<const unsigned char *>(text.data());
    bool is_good = yajl_parse(handle, bytes, text.size()) == yajl_status_ok
        && yajl_complete_parse(handle) == yajl_status_ok;
    yajl_free(handle);
    if (auto at = text.find("\"attributes\":"); at != std::string::npos) {
        columns.append(text, at + 13, text.size() - at - 14);
    }
    return is_good ? columns.size() : 0;
}

double cpu_nanoseconds() {
    timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return time.tv_sec * 1e9 + time.tv_nsec;
}

double measure(const std::function<size_t()> &decode) {
    constexpr double round = 5e7;
    std::vector<double> rounds;
    for (int number = 0; number < 15; ++number) {
        double start = cpu_nanoseconds(), now = start;
        long count = 0;
        for (; now - start < round; ++count) {
            if (decode() == 0) abort();
            if (count % 16 == 0) now = cpu_nanoseconds();
        }
        rounds.push_back((cpu_nanoseconds() - start) / count);
    }
    std::sort(rounds.begin(), rounds.end());
    return rounds[rounds.size() / 2];
}

}  // namespace

int main(int count, char **paths) {
    simdjson::ondemand::parser parser;
    simdjson::dom::parser tape;
    std::string separator = "{";
    for (int number = 1; number < count; ++number) {
        std::ifstream file(paths[number]);
        std::string text((std::istreambuf_iterator<char>(file)), {});
        simdjson::padded_string padded(text);
        const char *name = number == 1 ? "small" : "large";
        printf("%s\"simdjson %s\": %.0f, ", separator.c_str(), name,
               measure([&] { return with_simdjson(parser, padded); }));
        printf("\"simdjson tape %s\": %.0f, ", name,
               measure([&] { return with_simdjson_tape(tape, padded); }));
        printf("\"yajl %s\": %.0f", name, measure([&] { return with_yajl(text); }));
        separator = ", ";
    }
    puts("}");
}
