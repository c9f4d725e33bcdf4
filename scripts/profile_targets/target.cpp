// Work of known shares on one thread, and waits of four kinds on others: `target WAITERS`.
// Each line on standard input is answered with what the worker did since the last one.
#include <arpa/inet.h>
#include <algorithm>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <cstdio>
#include <iostream>
#include <mutex>
#include <string>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>
#include <vector>

using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;
#define SEPARATE __attribute__((noinline))

const auto HELD = std::chrono::milliseconds(20), SLEPT = std::chrono::milliseconds(50);
std::mutex the_lock, turn, pool_door;
std::condition_variable pool_free;
int places = 2;
std::vector<double> units;
double spent[3];
auto began = Clock::now();
volatile double sink;

SEPARATE double spin(int rounds) {
    double x = 0;
    for (int i = 0; i < rounds; i++) x += std::sqrt(double(i));
    return x;
}
SEPARATE void sixty() { sink = spin(600000) + 1; }
SEPARATE void thirty() { sink = spin(300000) + 1; }
SEPARATE void ten() { sink = spin(100000) + 1; }

void work() {
    for (;;) {
        auto start = Clock::now(), at = start;
        double took[3];
        void (*steps[])() = {sixty, thirty, ten};
        for (int n = 0; n < 3; n++) {
            steps[n]();
            auto now = Clock::now();
            took[n] = Seconds(now - at).count();
            at = now;
        }
        std::lock_guard<std::mutex> mine(turn);
        for (int n = 0; n < 3; n++) spent[n] += took[n];
        units.push_back(Seconds(at - start).count());
    }
}

void tell() {
    std::lock_guard<std::mutex> mine(turn);
    std::sort(units.begin(), units.end());
    double whole = spent[0] + spent[1] + spent[2];
    double p99 = units.empty() ? 0 : units[units.size() * 99 / 100] * 1e3;
    printf("{\"units\": %zu, \"seconds\": %f, \"p99_ms\": %f, \"shares\": [%f, %f, %f]}\n",
           units.size(), Seconds(Clock::now() - began).count(), p99, spent[0] / whole,
           spent[1] / whole, spent[2] / whole);
    fflush(stdout);
    units.clear();
    std::fill(spent, spent + 3, 0.0);
    began = Clock::now();
}

SEPARATE void hold_lock() { std::this_thread::sleep_for(HELD); }
SEPARATE void lock_user() {
    for (;;) {
        {
            std::lock_guard<std::mutex> mine(the_lock);
            hold_lock();
        }
        std::this_thread::yield();
    }
}
SEPARATE void hold_pool() { std::this_thread::sleep_for(HELD); }
SEPARATE void pool_user() {
    for (;;) {
        {
            std::unique_lock<std::mutex> door(pool_door);
            pool_free.wait(door, [] { return places > 0; });
            places--;
        }
        hold_pool();
        {
            std::lock_guard<std::mutex> door(pool_door);
            places++;
        }
        pool_free.notify_one();
    }
}
SEPARATE void sleeper() { for (;;) std::this_thread::sleep_for(SLEPT); }
SEPARATE void reader() {
    int ends[2];
    char one;
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0 && recv(ends[0], &one, 1, 0) < 0) abort();
}

int main(int, char **words) {
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in place{};
    place.sin_family = AF_INET;
    place.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof place;
    if (bind(listener, (sockaddr *)&place, size) || listen(listener, 5)) return 1;
    getsockname(listener, (sockaddr *)&place, &size);
    void (*kinds[])() = {sleeper, lock_user, reader, pool_user};
    for (int n = 0; n < std::stoi(words[1]); n++) std::thread(kinds[n % 4]).detach();
    std::thread(work).detach();
    printf("ready {\"port\": %d}\n", ntohs(place.sin_port));
    fflush(stdout);
    for (std::string line; std::getline(std::cin, line);) tell();
    _exit(0);
}
