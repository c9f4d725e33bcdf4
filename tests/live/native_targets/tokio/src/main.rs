use std::io::{Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot, Mutex, Semaphore};

struct Shop {
    till: Mutex<u64>,
    connections: Semaphore,
    letters: mpsc::Sender<oneshot::Sender<u64>>,
    office: SocketAddr,
}

async fn deliver(mut letters: mpsc::Receiver<oneshot::Sender<u64>>) {
    while let Some(sender) = letters.recv().await {
        tokio::time::sleep(Duration::from_millis(8)).await;
        let _ = sender.send(7);
    }
}

async fn post(shop: &Shop) -> u64 {
    let (sender, delivered) = oneshot::channel();
    shop.letters.send(sender).await.unwrap();
    delivered.await.unwrap()
}

async fn pay(shop: &Shop) -> u64 {
    let mut paid = shop.till.lock().await;
    tokio::time::sleep(Duration::from_millis(8)).await;
    *paid += 1;
    *paid
}

async fn query(shop: &Shop) -> u64 {
    let _held = shop.connections.acquire().await.unwrap();
    tokio::time::sleep(Duration::from_millis(8)).await;
    7
}

async fn ask(office: SocketAddr) -> u64 {
    let mut line = TcpStream::connect(office).await.unwrap();
    let mut answer = [0; 8];
    line.write_all(b"?").await.unwrap();
    line.read(&mut answer).await.unwrap() as u64
}

fn office() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || loop {
        let (mut line, _) = listener.accept().unwrap();
        std::thread::spawn(move || {
            let _ = line.read(&mut [0; 8]);
            std::thread::sleep(Duration::from_millis(8));
            let _ = line.write_all(b"7");
        });
    });
    address
}

fn print_receipt() {
    std::thread::sleep(Duration::from_millis(8));
}

async fn receipt() -> u64 {
    print_receipt();
    7
}

async fn serve(mut connection: TcpStream, shop: Arc<Shop>, kind: &'static str) {
    let mut request = [0; 4096];
    while connection.read(&mut request).await.is_ok_and(|n| n > 0) {
        let body = match kind {
            "mutex" => pay(&shop).await,
            "pool" => query(&shop).await,
            "channel" => post(&shop).await,
            "ask" => ask(shop.office).await,
            _ => receipt().await,
        }
        .to_string();
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        if connection.write_all(answer.as_bytes()).await.is_err() {
            break;
        }
    }
}

fn main() {
    let words: Vec<String> = std::env::args().collect();
    let kind: &'static str = words[1].clone().leak();
    let port: u16 = words.get(2).map_or(0, |word| word.parse().unwrap());
    #[cfg(feature = "console")]
    if let Some(console) = words.get(3) {
        let console: u16 = console.parse().unwrap();
        console_subscriber::ConsoleLayer::builder().server_addr(([127, 0, 0, 1], console)).publish_interval(Duration::from_millis(10)).init();
    }
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(async move {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        println!("ready{{\"port\": {}}}", listener.local_addr().unwrap().port());
        let (letters, arriving) = mpsc::channel(1);
        tokio::spawn(deliver(arriving));
        let shop = Arc::new(Shop { till: Mutex::new(0), connections: Semaphore::new(2), letters, office: office() });
        loop {
            let (connection, _) = listener.accept().await.unwrap();
            tokio::spawn(serve(connection, shop.clone(), kind));
        }
    });
}
