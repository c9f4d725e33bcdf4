//! A service of threads that take connections in turn, with one thing planted by its first word:
//! hot (a function that computes), mutex (a section that one request at a time is in), or pool
//! (connections that are handed out under a condition variable, two of them).
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Condvar, Mutex};
use std::thread;
use std::time::Duration;

mod shop {
    use super::*;

    static TILL: Mutex<u32> = Mutex::new(0);
    static LENT: Mutex<u32> = Mutex::new(0);
    static RETURNED: Condvar = Condvar::new();

    #[inline(always)]
    fn mix(mut item: u32, n: u32) -> u32 {
        item ^= item << 13;
        item ^= item >> 17;
        item ^= item << 5;
        item.wrapping_mul(2654435761).wrapping_add(item >> 7).wrapping_add(n)
    }

    #[inline(never)]
    pub fn price(mut item: u32, rounds: u32) -> u32 {
        for n in 0..rounds {
            item = mix(item, n);
        }
        item
    }

    #[inline(never)]
    fn ask_store() {
        thread::sleep(Duration::from_millis(8));
    }

    #[inline(never)]
    pub fn pay(item: u32) -> u32 {
        let mut paid = TILL.lock().unwrap();
        ask_store();
        *paid += 1;
        item
    }

    #[inline(never)]
    fn checkout_connection() {
        let mut lent = RETURNED.wait_while(LENT.lock().unwrap(), |lent| *lent >= 2).unwrap();
        *lent += 1;
    }

    #[inline(never)]
    fn return_connection() {
        *LENT.lock().unwrap() -= 1;
        RETURNED.notify_one();
    }

    #[inline(never)]
    pub fn query(item: u32) -> u32 {
        checkout_connection();
        ask_store();
        return_connection();
        item
    }
}

#[inline(never)]
fn order(kind: &str, item: u32) -> u32 {
    let sum = shop::price(item, 10_000);
    match kind {
        "hot" => shop::price(sum, 2_000_000),
        "mutex" => shop::pay(sum),
        _ => shop::query(sum),
    }
}

#[inline(never)]
fn serve(mut connection: TcpStream, kind: &str) {
    let mut request = [0; 4096];
    while connection.read(&mut request).is_ok_and(|n| n > 0) {
        let body = order(kind, 7).to_string();
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        if connection.write_all(answer.as_bytes()).is_err() {
            break;
        }
    }
}

fn main() {
    let words: Vec<String> = std::env::args().collect();
    let kind: &'static str = words[1].clone().leak();
    let port: u16 = words.get(2).map_or(0, |word| word.parse().unwrap());
    let listener: &'static TcpListener = Box::leak(Box::new(TcpListener::bind(("127.0.0.1", port)).unwrap()));
    println!("ready{{\"port\": {}}}", listener.local_addr().unwrap().port());
    let workers: Vec<_> = (0..16)
        .map(|_| thread::spawn(move || loop { serve(listener.accept().unwrap().0, kind) }))
        .collect();
    for worker in workers {
        worker.join().unwrap();
    }
}
