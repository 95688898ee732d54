"""OCI Distribution 1.1, category Content Discovery: tags and referrers."""

import pytest

from tests.oci import ABSENT, EMPTY, INDEX, SHA512

SBOM = "application/vnd.example.sbom.v1"
SIGNATURE = "application/vnd.example.signature.v1"
TAGS = ["10", "9", "B", "_x", "a", "a.1", "a_b", "b"]


async def test_tags_are_listed_with_the_name_in_byte_order(repository):
    await repository.tagged(*reversed(TAGS))
    answer = await repository.ask("GET", "tags/list")
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("application/json")
    assert answer.json == {"name": repository.name, "tags": TAGS}
    assert answer.next_page is None


@pytest.mark.parametrize("count", [1, 3, 7, 8, 9, 10**17])
async def test_a_list_in_pages_holds_every_tag_once(repository, count):
    await repository.tagged(*TAGS)
    seen, where = [], repository.url(f"tags/list?n={count}")
    while where is not None:
        answer = await repository.ask("GET", where)
        assert answer.json["name"] == repository.name
        assert len(answer.json["tags"]) == min(count, len(TAGS) - len(seen))
        seen += answer.json["tags"]
        where = answer.next_page
    assert seen == TAGS


async def test_a_page_of_no_tags_is_empty_and_leads_nowhere(repository):
    await repository.tagged(*TAGS)
    answer = await repository.ask("GET", "tags/list?n=0")
    assert (answer.status, answer.json["tags"], answer.next_page) == (200, [], None)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("last=B", TAGS[3:]),
        ("last=B&n=2", TAGS[3:5]),
        ("last=a.0&n=1", ["a.1"]),
        ("n=5&last=b", []),
        ("last=zzz", []),
    ],
)
async def test_a_list_goes_on_after_the_last_tag_seen(repository, query, expected):
    await repository.tagged(*TAGS)
    answer = await repository.ask("GET", f"tags/list?{query}")
    assert (answer.status, answer.json["tags"]) == (200, expected)


@pytest.mark.parametrize("query", ["n=x", "n=-1", "n=1.5", "n=", "n=" + "9" * 5000, "last=+"])
async def test_a_page_that_cannot_be_is_refused(repository, query):
    await repository.tagged("v1")
    assert (await repository.ask("GET", f"tags/list?{query}")).refused[0] == 400


@pytest.mark.parametrize("query", ["", "?n=5", "?n=0", "?last=a"])
async def test_tags_of_a_repository_that_is_not_there_are_not_found(repository, query):
    answer = await repository.ask("GET", f"tags/list{query}")
    assert answer.refused == (404, "NAME_UNKNOWN")


async def test_a_repository_without_tags_lists_none(repository):
    await repository.tagged("v1")
    await repository.ask("DELETE", "manifests/v1")
    answer = await repository.ask("GET", "tags/list")
    assert (answer.status, answer.json["tags"]) == (200, [])


@pytest.mark.parametrize("digest", [ABSENT, SHA512])
async def test_what_nothing_refers_to_has_an_empty_index_of_referrers(repository, digest):
    answer = await repository.ask("GET", f"referrers/{digest}")
    assert answer.status == 200
    assert answer.headers["Content-Type"] == INDEX
    assert answer.json == {"schemaVersion": 2, "mediaType": INDEX, "manifests": []}
    assert "OCI-Filters-Applied" not in answer.headers


@pytest.mark.parametrize("digest", ["v1", "sha256:no"])
async def test_referrers_of_what_is_no_digest_are_refused(repository, digest):
    answer = await repository.ask("GET", f"referrers/{digest}")
    assert answer.refused == (400, "DIGEST_INVALID")


async def signed(repository):
    """A subject and what refers to it: a manifest with a type, one without, and an index."""
    subject = await repository.tagged("v1")
    notes = {"org.example.who": "me"}
    typed = await repository.tagged(artifactType=SBOM, subject=subject, annotations=notes)
    plain = await repository.tagged(subject=subject)
    index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [], "subject": subject}
    answer = await repository.put("index", index, INDEX)
    expected = [
        typed | {"artifactType": SBOM, "annotations": notes},
        plain | {"artifactType": EMPTY},
        {
            "mediaType": INDEX,
            "digest": answer.headers["Docker-Content-Digest"],
            "size": int(
                (await repository.ask("HEAD", "manifests/index")).headers["Content-Length"]
            ),
        },
    ]
    return subject["digest"], sorted(expected, key=lambda item: item["digest"])


async def test_referrers_are_listed_with_their_types_and_annotations(repository):
    digest, expected = await signed(repository)
    answer = await repository.ask("GET", f"referrers/{digest}")
    assert answer.headers["Content-Type"] == INDEX
    assert sorted(answer.json["manifests"], key=lambda item: item["digest"]) == expected


@pytest.mark.parametrize("kind", [SBOM, SIGNATURE, EMPTY])
async def test_referrers_are_filtered_by_artifact_type_and_the_answer_says_so(repository, kind):
    digest, every = await signed(repository)
    answer = await repository.ask("GET", f"referrers/{digest}", params={"artifactType": kind})
    assert answer.headers["OCI-Filters-Applied"] == "artifactType"
    assert answer.json["manifests"] == [item for item in every if item.get("artifactType") == kind]


async def test_referrers_of_another_repository_are_not_listed(repository):
    digest, _ = await signed(repository)
    answer = await repository.other().ask("GET", f"referrers/{digest}")
    assert answer.json["manifests"] == []


async def test_referrers_that_do_not_fit_into_one_index_come_in_pages(repository):
    subject = await repository.tagged("v1")
    large = "x" * (3 << 19)
    every = []
    for number in range(5):
        notes = {"large": large, "number": str(number)}
        pushed = await repository.tagged(artifactType=SBOM, subject=subject, annotations=notes)
        every.append(pushed["digest"])
    seen, where, pages = [], repository.url(f"referrers/{subject['digest']}"), 0
    where = where.update_query(artifactType=SBOM)
    while where is not None:
        answer = await repository.ask("GET", where)
        assert answer.headers["OCI-Filters-Applied"] == "artifactType"
        assert len(answer.body) <= 4 << 20
        seen += [item["digest"] for item in answer.json["manifests"]]
        where, pages = answer.next_page, pages + 1
    assert pages > 1
    assert seen == sorted(every)
