// A service of threads that take connections in turn, with one thing planted by its first word:
// hot (a function that computes), mutex (a section that one request at a time is in), or pool
// (connections that are handed out under a condition variable, two of them).
#include <arpa/inet.h>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <string>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace shop {

std::mutex till;
std::mutex counter;
std::condition_variable returned;
int lent = 0;

__attribute__((always_inline)) inline unsigned mix(unsigned item, unsigned n) {
    item ^= item << 13;
    item ^= item >> 17;
    item ^= item << 5;
    return item * 2654435761u + (item >> 7) + n;
}

__attribute__((noinline)) unsigned price(unsigned item, unsigned rounds) {
    for (unsigned n = 0; n < rounds; n++) item = mix(item, n);
    return item;
}

__attribute__((noinline)) void ask_store() { usleep(8000); }

__attribute__((noinline)) unsigned pay(unsigned item) {
    std::lock_guard<std::mutex> held(till);
    ask_store();
    return item;
}

__attribute__((noinline)) void checkout_connection() {
    std::unique_lock<std::mutex> held(counter);
    returned.wait(held, [] { return lent < 2; });
    lent++;
}

__attribute__((noinline)) void return_connection() {
    { std::lock_guard<std::mutex> held(counter); lent--; }
    returned.notify_one();
}

__attribute__((noinline)) unsigned query(unsigned item) {
    checkout_connection();
    ask_store();
    return_connection();
    return item;
}

__attribute__((noinline)) unsigned order(const std::string &kind, unsigned item) {
    unsigned sum = price(item, 10000);
    if (kind == "hot") return price(sum, 2000000);
    if (kind == "mutex") return pay(sum);
    return query(sum);
}

__attribute__((noinline)) void serve(int connection, const std::string &kind) {
    char request[4096];
    while (read(connection, request, sizeof request) > 0) {
        std::string body = std::to_string(order(kind, 7));
        std::string answer = "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
        if (write(connection, answer.data(), answer.size()) < 0) break;
    }
    close(connection);
}

}  // namespace shop

int main(int, char **words) {
    std::string kind = words[1];
    int listener = socket(AF_INET, SOCK_STREAM, 0), yes = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(words[2] ? atoi(words[2]) : 0);
    if (bind(listener, (sockaddr *)&address, sizeof address) || listen(listener, 128)) return 1;
    socklen_t size = sizeof address;
    getsockname(listener, (sockaddr *)&address, &size);
    printf("ready{\"port\": %d}\n", ntohs(address.sin_port));
    fflush(stdout);
    std::vector<std::thread> workers;
    for (int n = 0; n < 16; n++)
        workers.emplace_back([=] {
            for (;;) shop::serve(accept(listener, nullptr, nullptr), kind);
        });
    for (auto &worker : workers) worker.join();
}
