//! A typed read-through over a table:
//!
//! ```text
//! cargo run -p resource
//! ```
//!
//! Every line it prints is checked; it exits 0 only if all of them hold. `docs/guide/resources.md` says more.
#![allow(clippy::print_stdout, clippy::print_stderr)] // a program for people

mod source;

use std::{error::Error, process::ExitCode};

use source::{Book, Books};
use stratacache::{
    Cache, Resource, TenantId,
    resource::{Scope, Window},
};

type Outcome = Result<(), Box<dyn Error>>;

fn check(promise: &str, held: bool) -> Result<(), String> {
    println!("{} {promise}", if held { "ok  " } else { "FAIL" });
    if held { Ok(()) } else { Err(format!("this did not hold: {promise}")) }
}

/// Reads some of each kind, and returns how many queries that took.
async fn read(books: &Resource<Books>) -> Result<u64, Box<dyn Error>> {
    let before = books.source().queries();
    books.one(1).await?;
    books.one(2).await?;
    books.list((), Window::first(10)).await?;
    books.list((), Window::first(10).after(10)).await?;
    books.count(()).await?;
    for shelf in ["history", "physics", "poetry"] {
        books.partition(shelf.to_owned()).await?;
    }
    Ok(books.source().queries() - before)
}

async fn reads(books: &Resource<Books>) -> Outcome {
    check("the first time each result is one query", read(books).await? == 8)?;
    check("the second time there is none", read(books).await? == 0)?;
    let before = books.source().queries();
    let found = books.many([1, 2, 3, 4, 999]).await?;
    check("many books are one query for those that are missing", books.source().queries() == before + 1)?;
    check("and what does not exist is left out", found.len() == 4 && !found.contains_key(&999))?;
    let absent = books.one(999).await?.is_none();
    check("that it does not exist is known by now", absent && books.source().queries() == before + 1)?;
    Ok(())
}

async fn writes(books: &Resource<Books>, elsewhere: &Resource<Books>) -> Outcome {
    read(elsewhere).await?;
    // book 1 stood among physics
    let saved = books.save(Book::new(1, "poetry", "another title")).await?;
    check("a save says what there is now", saved.item().is_some_and(|book| book.shelf == "poetry"))?;
    check("it reloads the book, two lists, the count and two of three shelves", read(books).await? == 6)?;
    check("and nothing of another library", read(elsewhere).await? == 0)?;
    books.save(Book::new(2, "poetry", "a new title")).through(true).await?;
    let before = books.source().queries();
    let title = books.one(2).await?.map(|book| book.title.clone());
    check(
        "written through, the book is there without a query",
        title.as_deref() == Some("a new title") && books.source().queries() == before,
    )?;
    books.delete(2).await?;
    check("a book that was deleted is gone", books.one(2).await?.is_none())?;
    Ok(())
}

async fn the_rest(books: &Resource<Books>) -> Outcome {
    let before = books.source().queries();
    let count = *books.warm_count(()).force().await?;
    check("warming by force asks the source again", count == 29 && books.source().queries() == before + 1)?;
    read(books).await?;
    books.invalidate(Scope::partition(&"history".to_owned())).await?;
    check("one shelf can be forgotten", read(books).await? == 1)?;
    books.clear().await?;
    check("and all of it", read(books).await? == 8)?;
    println!("{}", books.usage());
    Ok(())
}

async fn tour() -> Outcome {
    let cache = Cache::builder().memory(32 << 20).build().await?;
    // each library has its own books and its own part of the cache
    let books = Resource::new(&cache.tenant(&TenantId::parse("bonn")?), Books::open()?);
    let elsewhere = Resource::new(&cache.tenant(&TenantId::parse("kiel")?), Books::open()?);
    reads(&books).await?;
    writes(&books, &elsewhere).await?;
    the_rest(&books).await?;
    cache.close().await?;
    Ok(())
}

#[tokio::main]
async fn main() -> ExitCode {
    match tour().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
