"""What the records of the pretraining corpus are about: kinds of record, their fields, and how prose says them.

``DOMAINS`` is a small table in text. ``# kind`` opens a kind of record; every other line is
``names of the field : kind of value : sentences``, the names separated by ``/``, the sentences by ``|`` and
``{v}`` standing for the value. The table knows nothing about tickets from customers: that format belongs
to the sample task and is left for fine-tuning to teach.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from tunery.starter import words

TABLE = """
# loan
reader/borrower/member/name : person : {v} came to the desk.|The borrower is {v}.|It was lent to {v}.|I am {v}.
book/title/item : title : The book is called "{v}".|I took "{v}" home.|Please lend me "{v}".
shelf/shelf_code/place : code : It stands on shelf {v}.|Look for shelf {v}.|The shelf mark is {v}.
due/return_by/date : date : It must come back by {v}.|The due date is {v}.|Return it before {v}.
weeks/length/duration : number : The loan is for {v} weeks.|You may keep it {v} weeks.
# booking
guest/name/host : person : The table is for {v}.|Please book it under {v}.|My name is {v}.|Regards, {v}
seats/people/party : number : We are {v} people.|There will be {v} of us.|It is for {v} guests.
time/at/hour : clock : We will come at {v}.|Dinner starts at {v}.|Please expect us at {v}.
day/date/on : day : It is for {v}.|We would like to come on {v}.|The day is {v}.
dish/request/menu : dish : We would like the {v}.|Please prepare {v}.|One of us asked for {v}.
town/city/branch : place : It is for your house in {v}.|We mean the one in {v}.|The town is {v}.
# visit
patient/name/person : person : The patient is {v}.|{v} was seen today.|I saw {v} this morning.
doctor/seen_by/staff : surname : Doctor {v} wrote the note.|They were seen by Doctor {v}.|Ask Doctor {v}.
room/ward/bed : code : The room is {v}.|They wait in room {v}.|Go to {v}.
complaint/reason/problem : choice cough,fever,headache,sore knee,rash,burn : The reason is a {v}.|It is a case of {v}.
days/since/duration : number : It began {v} days ago.|It has lasted {v} days.
# trip
traveller/passenger/name : person : The passenger is {v}.|{v} is travelling.|The seat belongs to {v}.|This is {v}.
from/start/origin : place : The ferry leaves from {v}.|The trip starts in {v}.|I set off from {v}.
to/end/destination : place : It goes to {v}.|I want to get to {v}.|The trip ends in {v}.
ticket/pass/reference : code : The ticket number is {v}.|My pass is {v}.|The reference is {v}.
bags/luggage/pieces : number : There are {v} bags.|I carry {v} bags.|They packed {v} suitcases.
class/deck/kind : choice first,second,upper deck,lower deck,cabin : I travel {v}.|The place is {v}.
# sample
label/sample/id : code : The sample is marked {v}.|The jar says {v}.|We named it {v}.
site/place/origin : place : It was taken near {v}.|The site is {v}.|We dug it up at {v}.
collector/by/taken_by : person : {v} collected it.|It was taken by {v}.|The collector was {v}.
mineral/material/kind : word : It is mostly {v}.|We think it is {v}.|The material is {v}.
weight/grams/mass : big : It weighs {v} grams.|The scale showed {v}.|Its weight is {v}.
colour/color/look : adjective : It looks {v}.|The colour is {v}.
# garden
plant/crop/seed : word : We planted {v}.|The bed is full of {v}.|I sowed {v}.
gardener/who/name : given : {v} looks after it.|It was {v} who dug the bed.|Yours, {v}
rows/beds/lines : number : There are {v} rows.|We made {v} rows.
sown/date/planted : date : It was sown on {v}.|We planted it on {v}.
pest/enemy/trouble : choice snails,ants,mice,crows,beetles,moths : The trouble is {v}.|We have seen {v}.
# match
home/team/home_team : brand : The home side was {v}.|{v} played at home.
away/visitors/guest_team : brand : The visitors were {v}.|{v} came to play.
score/result/points : score : It ended {v}.|The result was {v}.|They finished at {v}.
scorer/best/player : person : {v} scored the last point.|The best player was {v}.
ground/stadium/city : place : It was played in {v}.|The ground is in {v}.
crowd/visitors_count/attendance : big : {v} people watched.|The crowd was {v}.
# museum
object/item/thing : product : The case holds a {v}.|We own a {v}.|The object is a {v}.
maker/artist/author : person : It was made by {v}.|The maker was {v}.|{v} made it.
number/inventory/id : code : Its number is {v}.|In the book it is {v}.|The card says {v}.
year/made/built : year : It was made in {v}.|It dates from {v}.
hall/room/floor : number : It stands in hall {v}.|See it in room {v}.
donor/gift_of/owner : person : It was given by {v}.|It once belonged to {v}.
# lost
finder/found_by/name : person : {v} found it.|It was handed in by {v}.|I am {v} and I found something.
item/thing/what : product : I lost a {v}.|It is a {v}.|Somebody left a {v} here.
where/place/spot : place : It was on the train to {v}.|It was lost in {v}.
when/day/date : day : It happened on {v}.|That was on {v}.
tag/number/mark : code : The tag says {v}.|It carries the mark {v}.
# ship
ship/vessel/boat : brand : The ship {v} came in.|{v} lies at the quay.|We saw the {v}.
captain/master/name : person : Her captain is {v}.|{v} commands her.|Signed, Captain {v}
cargo/load/goods : word : She carries {v}.|The load is {v}.|They brought {v}.
crates/boxes/count : number : There are {v} crates.|We counted {v} crates.
port/harbour/next : place : The next port is {v}.|She will sail to {v}.
permit/papers/code : code : The permit is {v}.|Her papers say {v}.
# job
applicant/name/candidate : person : {v} would like the job.|The applicant is {v}.|Kind regards, {v}
role/job/position : role : The job is {v}.|I can work as a {v}.|We look for a {v}.
years/experience/worked : number : That makes {v} years of work.|I have done it for {v} years.
last/company/employer : brand : The last company was {v}.|Before that there was {v}.
city/home/lives_in : place : Home is {v}.|I live in {v}.
phone/number/call : phone : Call {v}.|The phone number is {v}.
# weather
station/post/place : place : The station is {v}.|News from {v}.
degrees/temperature/temp : number : It is {v} degrees.|We measured {v} degrees.
sky/weather/cover : choice clear,cloudy,foggy,stormy,misty,snowy : The sky is {v}.|It is {v} outside.
observer/by/watcher : surname : The watch was kept by {v}.|{v} wrote it down.
wind/from/direction : choice north,south,east,west : The wind is from the {v}.|It blows from the {v}.
# course
student/pupil/name : person : {v} joined the course.|The pupil is {v}.|Thanks, {v}
subject/course/topic : word : The course is about {v}.|They learn {v}.
teacher/tutor/coach : surname : The teacher is called {v}.|{v} teaches it.
group/class/code : code : The group is {v}.|They are in {v}.
hours/lessons/times : number : There are {v} lessons.|It takes {v} lessons.
grade/mark/level : choice beginner,middle,advanced,open : The level is {v}.|It is a {v} course.
# machine
machine/model/unit : product : The machine is a {v}.|We run a {v}.
serial/number/id : code : The serial number is {v}.|On the plate it says {v}.
state/status/condition : choice running,stopped,broken,new,worn,idle : It is {v}.|The state is {v}.
part/spare/piece : word : It needs a new {v}.|The {v} was changed.
operator/user/checked_by : person : {v} runs it.|It was checked by {v}.
hours/age/used : big : It ran for {v} hours.|The meter says {v}.
# farm
farm/owner/name : surname : This is the farm of {v}.|The farm belongs to {v}.
animal/herd/kind : animal : They keep a {v}.|The farm is known for its {v}.
count/head/number : number : There are {v} in the barn.|We counted {v}.
milk/litres/yield : big : The yield was {v} litres.|They sold {v} litres.
village/place/near : place : It lies near {v}.|The village is {v}.
"""


@dataclass(frozen=True)
class Slot:
    """One field of a kind of record."""

    names: tuple[str, ...]
    kind: str
    sentences: tuple[str, ...]


def _parse(table: str) -> dict[str, list[Slot]]:
    domains: dict[str, list[Slot]] = {}
    current: list[Slot] = []
    for line in table.strip().splitlines():
        if line.startswith("# "):
            current = domains.setdefault(line[2:], [])
            continue
        names, kind, sentences = line.split(" : ", 2)
        current.append(Slot(tuple(names.split("/")), kind, tuple(sentences.split("|"))))
    return domains


DOMAINS = _parse(TABLE)


def value(rng: Random, kind: str) -> str | int:
    """A value of the kind that a line of the table names."""
    if kind.startswith("choice "):
        return rng.choice(kind[7:].split(","))
    if kind == "number":
        return rng.randint(1, 12) if rng.random() < 0.8 else rng.randint(13, 60)
    if kind == "big":
        return int(words.digits(rng, 2, 5))
    if kind == "year":
        return rng.randint(1400, 2030)
    makers = {
        "person": lambda: words.person(rng) if rng.random() < 0.8 else words.given_name(rng),
        "given": lambda: words.given_name(rng),
        "surname": lambda: words.surname(rng),
        "place": lambda: words.place(rng),
        "code": lambda: words.code(rng),
        "date": lambda: words.date(rng),
        "clock": lambda: words.clock(rng),
        "day": lambda: rng.choice(words.DAYS),
        "word": lambda: words.word(rng) if rng.random() < 0.6 else rng.choice(words.NOUNS),
        "adjective": lambda: rng.choice(words.ADJECTIVES),
        "brand": lambda: words.brand(rng),
        "product": lambda: words.product(rng),
        "animal": lambda: rng.choice(words.ANIMALS),
        "role": lambda: rng.choice(words.PEOPLE),
        "title": lambda: f"The {rng.choice(words.ADJECTIVES).capitalize()} {words.brand(rng)}",
        "dish": lambda: f"{words.word(rng)} {words.pick(rng, 'soup|pie|stew|salad|cake|bread|rice')}",
        "score": lambda: f"{rng.randint(0, 9)}:{rng.randint(0, 9)}",
        "phone": lambda: f"0{words.digits(rng, 2, 3)} {words.digits(rng, 3, 6)}",
    }
    return makers[kind]()
